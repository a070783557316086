"""Asking witnesses to cosign a checkpoint (C2SP tlog-witness, ``add-checkpoint``).

A witness signs only what it has checked to continue the tree that it saw last, so a log that shows two faces finds no
cosignatures for one of them. What a witness answers is believed when its known key verifies it, and not before. One
that is away, slow or wrong is reported and holds up nothing but itself.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import urllib3
from typing_extensions import override

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency import (
    AddCheckpoint,
    Signature,
    TileHashes,
    TreeHead,
    Witness,
    consistency_proof,
    parse_size,
)
from deepnode_ledger.transparency.note import parse_signatures, verify

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 20.0
"""How long the witnesses together may hold up a checkpoint. Who has not answered by then has failed."""

ANSWER_BYTES_MAX: Final = 64 * 1024
CONFLICT: Final = 409
OK: Final = 200


@dataclass(frozen=True, slots=True)
class WitnessService:
    """A witness: the key that its cosignatures are verified by, and its submission prefix (http or https)."""

    key: Witness
    url: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``VKEY URL``.

        Raises:
            BadInput: not a witness's verifier key, a space, and a URL without white space.
        """
        vkey, _, url = text.strip().partition(" ")
        if not url.strip().startswith(("http://", "https://")) or len(url.split()) != 1:
            raise BadInput(f"a witness is given by its verifier key, a space and its http(s) URL, not {text!r:.200}")
        return cls(Witness.parse(vkey), url.strip().rstrip("/"))

    @override
    def __str__(self) -> str:
        return f"{self.key} {self.url}"


@dataclass(frozen=True, slots=True)
class WitnessFault:
    """A witness did not cosign, and why."""

    name: str
    message: str


class Witnesses:
    """The witnesses of a log. One that failed is left in peace for a while, and one that is still busy is not asked."""

    def __init__(self, services: Sequence[WitnessService], *, rest_seconds: float = READ_SECONDS) -> None:
        names = [(each.key.name, each.key.key_id) for each in services]
        if len(set(names)) != len(names):
            raise BadInput(f"each witness is named once, not {', '.join(each.key.name for each in services)}")
        self.services = tuple(services)
        self._rest_seconds = rest_seconds
        self._pool = urllib3.PoolManager(retries=False)
        self._rests_until_seconds: dict[Witness, float] = {}
        self._busy: dict[Witness, threading.Thread] = {}

    def due(self, signed: Sequence[Signature]) -> list[WitnessService]:
        """Return whom to ask now: who has not signed, does not rest after a failure and is not busy."""
        have = {line.key for line in signed}
        now_seconds = time.monotonic()
        return [
            each
            for each in self.services
            if (each.key.name, each.key.key_id) not in have
            and self._rests_until_seconds.get(each.key, now_seconds) <= now_seconds
            and not (each.key in self._busy and self._busy[each.key].is_alive())
        ]

    def ask(
        self,
        services: Sequence[WitnessService],
        head: TreeHead,
        note: str,
        seen: Mapping[Witness, int],
        hashes: Callable[[], TileHashes],
    ) -> tuple[list[Signature], list[WitnessFault]]:
        """Ask witnesses to cosign, all at once.

        Args:
            services: whom to ask.
            head: the tree head.
            note: its checkpoint, signed by the log.
            seen: the size of the last tree that each has cosigned, as far as is known.
            hashes: makes a reader of the tree's hashes, for each witness one.

        Returns:
            The verified cosignatures, and what went wrong with the other witnesses.
        """
        answers: queue.Queue[tuple[WitnessService, Signature | WitnessFault]] = queue.Queue()

        def inquire(service: WitnessService) -> None:
            try:
                answer: Signature | WitnessFault = self._cosignature(
                    service, head, note, seen.get(service.key, 0), hashes()
                )
            except (urllib3.exceptions.HTTPError, OSError) as error:
                answer = WitnessFault(service.key.name, f"{service.url} is away: {error}")
            except BadInput as error:
                answer = WitnessFault(service.key.name, str(error))
            answers.put((service, answer))

        for service in services:
            # A daemon: a witness that sends a byte now and then must not keep the program from ending.
            self._busy[service.key] = threading.Thread(target=inquire, args=(service,), daemon=True)
            self._busy[service.key].start()
        told: dict[Witness, Signature | WitnessFault] = {}
        until_seconds = time.monotonic() + ANSWER_SECONDS
        with contextlib.suppress(queue.Empty):
            while len(told) < len(services):
                service, answer = answers.get(timeout=max(0, until_seconds - time.monotonic()))
                told[service.key] = answer
        signatures, faults = list[Signature](), list[WitnessFault]()
        for service in services:
            late = WitnessFault(service.key.name, f"{service.url} did not answer within {ANSWER_SECONDS} s")
            outcome = told.get(service.key, late)
            if isinstance(outcome, Signature):
                signatures.append(outcome)
            else:
                faults.append(outcome)
                self._rests_until_seconds[service.key] = time.monotonic() + self._rest_seconds
        return signatures, faults

    def _cosignature(
        self, service: WitnessService, head: TreeHead, note: str, old_size: int, hashes: TileHashes
    ) -> Signature:
        status, body = self._add_checkpoint(service, head, note, old_size, hashes)
        if status == CONFLICT:
            told = parse_size(body)
            if told > head.size:
                raise BadInput(
                    f"it has cosigned size {told}, and this log's is {head.size}: was the database restored from "
                    "an older copy?"
                )
            if told == old_size:
                raise BadInput(f"it was told of size {old_size}, and says that it is another: {told}")
            status, body = self._add_checkpoint(service, head, note, told, hashes)
        if status != OK:
            raise BadInput(f"it answered {status}: {body.decode(errors='replace')[:200]!r}")
        lines = verify(str(head), parse_signatures(body), [service.key])
        if not lines:
            raise BadInput("it answered without a cosignature of its own")
        return lines[0]

    def _add_checkpoint(
        self, service: WitnessService, head: TreeHead, note: str, old_size: int, hashes: TileHashes
    ) -> tuple[int, bytes]:
        proof = consistency_proof(old_size, head.size, hashes)
        response = self._pool.request(
            "POST",
            f"{service.url}/add-checkpoint",
            body=str(AddCheckpoint(old_size, tuple(proof), note)).encode(),
            headers={"Content-Type": "text/plain; charset=utf-8"},
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            redirect=False,
            preload_content=False,
        )
        try:
            body = response.read(ANSWER_BYTES_MAX + 1)
        finally:
            response.release_conn()
        if len(body) > ANSWER_BYTES_MAX:
            raise BadInput(f"it answered more than {ANSWER_BYTES_MAX} bytes")
        return response.status, body

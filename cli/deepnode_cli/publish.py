"""``deepnode log publish`` and ``deepnode log proof``: the sealed log for everybody to check, and one entry's proof."""

import json
import threading
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from deepnode_cli import settings
from deepnode_cli.interruption import on_interrupt
from deepnode_cli.keys import load_signer
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.publishing import Published, PublishedFiles, Publisher, Witnesses, WitnessService, prove

RETRY_SECONDS: Final = 1.0


def publish(
    database: settings.Database,
    log_directory: settings.LogDirectory,
    log_key: settings.LogKey,
    witness: settings.WitnessList,
    witness_quorum: settings.WitnessQuorum = 0,
    once: Annotated[bool, typer.Option("--once", help="Stop when all that is sealed is published.")] = False,
    refill: Annotated[
        bool, typer.Option("--refill", help="First write every missing file anew, and compare all others with the log.")
    ] = False,
    as_json: settings.AsJson = False,
) -> None:
    """Publish the sealed log as static files with signed checkpoints, and go on as it is sealed.

    The directory can be served by any web server. What is published is never taken back: a file that was changed, or a
    database that is an older copy, is refused.
    """
    witnesses = Witnesses([WitnessService.parse(each) for each in witness])
    publisher = Publisher(database, log_directory, load_signer(log_key), witnesses=witnesses, quorum=witness_quorum)
    say = _Sayer(as_json)
    stopped = threading.Event()
    with on_interrupt(stopped.set), publisher:
        if refill:
            publisher.refill()
        if once:
            _publish_all(publisher, say, stopped)
        while not once and not stopped.is_set():
            try:
                for published in publisher.follow(stopped):
                    say(published)
            except TryAgain as error:
                say.waiting(error)
                stopped.wait(RETRY_SECONDS)


def proof(
    position: Annotated[int, typer.Argument(help="The entry's position in the log, from 1.")],
    log_directory: settings.LogDirectory,
    output: Annotated[
        Path | None, typer.Option("--output", help="Where the proof goes; stdout if left out.", metavar="FILE")
    ] = None,
    entry: Annotated[
        Path | None, typer.Option("--entry", help="Where the entry's bytes go, which the proof is of.", metavar="FILE")
    ] = None,
) -> None:
    """Write the proof (c2sp.org/tlog-proof) that the entry at a position is published.

    It is made from the published files alone, and leads to the checkpoint that is published now.
    """
    proven, leaf = prove(PublishedFiles(log_directory), position)
    if entry is not None:
        _write(entry, leaf)
    if output is None:
        typer.echo(str(proven), nl=False)
    else:
        _write(output, str(proven).encode())


def _publish_all(publisher: Publisher, say: "_Sayer", stopped: threading.Event) -> None:
    published = publisher.publish()
    while published is not None:
        say(published)
        if not published.behind or stopped.is_set():
            break
        published = publisher.publish()
    if published is not None and not published.public:
        raise TryAgain(
            f"size {published.head.size} is signed and not shown yet: "
            f"{len(published.cosigned)} witnesses have cosigned it, which are too few"
        )


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from error


class _Sayer:
    """Writes what is published: JSON for programs on stdout, lines for people on stderr."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._said = ""

    def __call__(self, published: Published) -> None:
        """Write one round."""
        head = published.head
        if self._as_json:
            fields = {"size": head.size, "root": to_hex(head.root), "entries": published.entries}
            more = {"behind": published.behind, "cosigned": list(published.cosigned), "public": published.public}
            self._line({"event": "published", **fields, **more})
        else:
            by = f", cosigned by {', '.join(published.cosigned)}" if published.cosigned else ""
            what = "published" if published.public else "signed, and withheld until more witnesses have cosigned"
            self._once(f"size {head.size} {what}{by}, {published.behind} entries behind")
        for fault in published.faults:
            if self._as_json:
                self._line({"event": "witness-fault", "witness": fault.name, "message": fault.message})
            else:
                typer.echo(f"witness {fault.name}: {fault.message}", err=True)

    def waiting(self, error: TryAgain) -> None:
        """Write what is waited for."""
        if self._as_json:
            self._line({"event": "fault", "message": str(error)})
        else:
            self._once(f"waiting: {error}")

    def _line(self, fields: dict[str, Any]) -> None:
        typer.echo(json.dumps(fields))

    def _once(self, line: str) -> None:
        # The same line every second would hide everything else.
        if line != self._said:
            typer.echo(line, err=True)
        self._said = line

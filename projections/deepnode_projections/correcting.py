"""As corrected: what comes out when the log is replayed with the right values in the place of the wrong ones.

The books say what was known at a position and never change behind it (``rules.corrections``). Here each wrong event is
heard as its newest correction puts it, at its old place, so that everything that followed is made anew: totals, pools,
lines, claim trees. What the chain did stays what it did, and is compared with that.

A correction itself says nothing then, and neither does an event that was withdrawn. VWU that were assigned to a task of
corrected difficulty are heard at that difficulty, whatever they name: the producer had to name what the task had.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.statement_data import VWU_ASSIGNED
from deepnode_projections.replay import Replay
from deepnode_projections.rules.corrections import DIFFICULTY, TASK_PRICE, Correction
from deepnode_projections.rules.observations import AMOUNT, PRICE

_Event = tuple[str, str]
"""An event's producer and its id."""


def in_force(corrections: Iterable[Correction]) -> Sequence[Correction]:
    """Return the corrections that hold: of each event and value the newest, in the order in which they came."""
    newest: dict[tuple[str, str, str], Correction] = {}
    for each in corrections:
        key = (each.producer, each.corrects, each.value_name)
        if key not in newest or newest[key].sequence < each.sequence:
            newest[key] = each
    return sorted(newest.values(), key=lambda each: each.corrected_position)


_AS_TEXT: Final = {AMOUNT, PRICE, TASK_PRICE}
"""Values that are decimal text in an event."""

_NOTHING: Final = b"{}"
"""The payload of an event that says nothing: the books show it as one that they cannot read."""


class Rightly:
    """Entries of the log as corrected: the same entries, where some task events say something else.

    Only payloads change, and no signature is good for such an entry: it is for a replay, and never for a log.
    """

    def __init__(self, corrections: Iterable[Correction]) -> None:
        """Begin; all corrections are given, also those that do not hold any more."""
        corrections = list(corrections)
        self._silent: Final = {(each.producer, each.event_id) for each in corrections}
        self._values: Final[dict[_Event, dict[str, int | None]]] = {}
        self._difficulties: Final[dict[str, int]] = {}
        for each in in_force(corrections):
            self._values.setdefault((each.producer, each.corrects), {})[each.value_name] = each.value
            if each.value_name == DIFFICULTY:
                assert each.task is not None, each
                assert each.value is not None, each
                self._difficulties[to_hex(each.task)] = each.value
        self._ids: Final = pa.array(sorted({name for _, name in (*self._values, *self._silent)}), pa.string())
        self._tasks: Final = pa.array(sorted(self._difficulties), pa.string())

    def told(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch (columns of ``batch_versions.SCHEMA``) as corrected: the very same if nothing concerns it."""
        concerned = pc.or_(
            pc.is_in(batch.column("event_id"), self._ids),
            pc.and_(
                pc.equal(batch.column("event_type"), VWU_ASSIGNED).fill_null(False),
                pc.is_in(pc.utf8_lower(batch.column("task")), self._tasks),
            ),
        )
        if not pc.any(concerned).as_py():
            return batch
        rows = batch.filter(concerned).select(["producer", "event_id", "event_type", "task", "data"]).to_pylist()
        payloads = pa.array([self._payload(row) for row in rows], pa.binary())
        place = batch.schema.get_field_index("data")
        right = pc.replace_with_mask(batch.column(place), concerned, payloads)
        return batch.set_column(place, batch.schema.field(place), right)

    def _payload(self, row: Mapping[str, Any]) -> bytes:
        own, payload = (row["producer"], row["event_id"]), bytes(row["data"])
        values = self._values.get(own, {})
        if own in self._silent or None in values.values():
            return _NOTHING
        if row["event_type"] == VWU_ASSIGNED and (task := (row["task"] or "").lower()) in self._difficulties:
            values = {**values, DIFFICULTY: self._difficulties[task]}
        return _with(payload, values) if values else payload


def _with(payload: bytes, values: Mapping[str, int | None]) -> bytes:
    try:
        event = msgspec.json.decode(payload)
        event["data"].update({name: str(value) if name in _AS_TEXT else value for name, value in values.items()})
    except (msgspec.MsgspecError, UnicodeError, RecursionError, LookupError, TypeError, AttributeError):
        # The books cannot read such an event either: another one of the corrected task, or of another producer.
        return payload
    return msgspec.json.encode(event)


def replay_corrected(
    manifest: Manifest, corrections: Iterable[Correction], batches: Iterable[pa.RecordBatch]
) -> Replay:
    """Replay entries from position 1 on as corrected.

    Args:
        manifest: the deployment.
        corrections: all that are known, of these entries or of later ones.
        batches: with the columns of ``batch_versions.SCHEMA``.
    """
    rightly, replay = Rightly(corrections), Replay(manifest)
    for batch in batches:
        replay.feed(rightly.told(batch))
    return replay

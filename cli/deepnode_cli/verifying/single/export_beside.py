"""An export beside a bundle: every row against the replayed books, missing and additional ones named."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from deepnode_cli.verifying.finding import Finding
from deepnode_cli.verifying.single.beside import Beside
from deepnode_cli.verifying.single.broken import error, note, require, warning
from deepnode_cli.verifying.single.export_reading import Export
from deepnode_graphql.export.sources.records import record_source
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.registers.record import Record, fields_of
from deepnode_projections.rules.book import RECORDS

STAGE: Final = "export"

SHOWN_MAX: Final = 50
"""Rows of each kind that are named; behind them they are counted."""

Key = tuple[Any, ...]


def compare(export: Export, beside: Beside) -> Iterator[Finding]:
    """Replay the bundle up to the file's position, and compare the rows.

    Raises:
        Broken: the file is of another deployment or of a position that the bundle does not hold.
    """
    said, at = export.metadata, beside.bundle.contents.entries
    if said:
        digest = to_hex(beside.manifest.digest)
        require(said["manifest_digest"] == digest, "metadata", f"the bundle's manifest is {digest}")
        at = int(said["position"])
    first = int(export.asked.get("from_position", said.get("first_position") or 1))
    expected: Counter[Key] | None = None
    if export.source.name == "postings":
        moved = beside.postings(at)
        expected = Counter(
            (each.position, each.leg, each.account, to_hex(each.asset), each.amount, each.balance)
            for each in moved
            if each.position >= first
        )
    beside.up_to(at)
    if said:
        root = to_hex(beside.replay.root())
        require(root == said["state_root"], "metadata", f"the replayed books at {at} have the root {root}")
        yield note(STAGE, "metadata", f"the replayed books at position {at} have the file's state root", position=at)
    names: list[str] = ["position", "leg", "account", "asset_address", "amount", "balance"]
    if export.source.name == "balances":
        names = ["account", "asset_address", "balance"]
        expected = Counter((name, to_hex(asset), held) for (name, asset), held in beside.replay.balances.items())
    kind = next((each for each in RECORDS if record_source(each).name == export.source.name), None)
    if kind is not None:
        names, expected = _records(kind, beside)
    if expected is None:
        words = f"rows of {export.source.name} are not compared one by one: the state root is what binds them"
        yield warning(STAGE, export.path.name, words)
        return
    found = Counter(
        tuple(row[name] for name in names)
        for row in export.rows()
        # Of a history, what was until later is not in the replay's end.
        if kind is None or row.get("until") is None
    )
    yield from _differences(export, found, expected, is_part=bool(export.filters) or not said or first > 1, names=names)


def _records(kind: type[Record], beside: Beside) -> tuple[list[str], Counter[Key]]:
    """Return the columns of a record's fields, and the replay's records as such rows."""
    names = []
    for field in fields_of(kind):
        is_asset = field.type is bytes and field.name in ("asset", "asset_in")
        names.append(field.name.rstrip("_") + ("_address" if is_asset else ""))
    rows: Counter[Key] = Counter()
    for record in beside.replay.records(kind):
        values = (getattr(record, field.name) for field in fields_of(kind))
        rows[tuple(to_hex(each) if isinstance(each, bytes) else each for each in values)] += 1
    return names, rows


def _differences(
    export: Export, found: Counter[Key], expected: Counter[Key], *, is_part: bool, names: list[str]
) -> Iterator[Finding]:
    additional, missing = found - expected, expected - found
    if export.source.name == "balances":
        # Accounts that hold nothing now may be listed, and those that never moved are not.
        missing = Counter({key: n for key, n in missing.items() if key[2]})
        additional = Counter({key: n for key, n in additional.items() if key[2]})
    for row in sorted(additional, key=repr)[:SHOWN_MAX]:
        yield error(
            STAGE, _where(names, row), f"the row is not in the replayed books, or there too often: {_told(names, row)}"
        )
    if is_part:
        words = "the file holds chosen rows, or does not say which: that none is missing is not checked"
        yield note(STAGE, export.path.name, words, missing=missing.total())
    else:
        for row in sorted(missing, key=repr)[:SHOWN_MAX]:
            yield error(STAGE, _where(names, row), f"the row of the replayed books is missing: {_told(names, row)}")
    wrong = additional.total() + (0 if is_part else missing.total())
    if not wrong:
        said = f"{found.total()} rows are those of the replayed books"
        yield note(STAGE, export.path.name, said, rows=found.total())
    else:
        said = f"{additional.total()} rows too many, {0 if is_part else missing.total()} missing of {expected.total()}"
        yield error(STAGE, export.path.name, said, additional=additional.total(), missing=missing.total())


def _where(names: list[str], row: Key) -> str:
    return f"position {row[0]}" if names[0] == "position" else f"{names[0]} {row[0]}"


def _told(names: list[str], row: Key) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(names, row, strict=True))[:600]

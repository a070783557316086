"""``deepnode audit epoch``: what an epoch gave to everybody, as known at a date, as known now, and as corrected."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepnode_cli import settings
from deepnode_cli.books_reading import books_reading
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import load_manifest

if TYPE_CHECKING:
    from deepnode_graphql.reading import Reading
    from deepnode_projections.restating import Cause, Restated


def epoch(
    database: settings.Database,
    manifest: settings.ManifestPath,
    number: Annotated[int, typer.Argument(help="Which epoch; it must be over.", metavar="EPOCH", min=0)],
    known: Annotated[
        str | None,
        typer.Option(
            "--known",
            help="As known at this log position, at the end of this date (2026-10, 2026-10-01, "
            "2026-10-01T12:00:00Z), block:N or epoch:N; left out: as known now.",
            metavar="WHEN",
        ),
    ] = None,
    corrected: Annotated[
        bool, typer.Option("--corrected/--no-corrected", help="Replay the log as corrected, or do not.")
    ] = True,
    as_json: settings.AsJson = False,
) -> None:
    """Show what an epoch gave to everybody: as known at a date, as known now, and as corrected.

    What was paid is paid: the books keep what was counted, and this says what the corrections would have changed.
    """
    with books_reading(database, load_manifest(manifest)) as reading:
        found = _restated(reading, number, known, corrected=corrected)
        symbols = {bytes(each.address): each.symbol for each in reading.assets.values()}
    typer.echo(json.dumps(_data(found, symbols)) if as_json else _text(found, symbols))


def _restated(reading: "Reading", number: int, known: str | None, *, corrected: bool) -> "Restated":
    from deepnode_graphql.reading import driver_connection
    from deepnode_graphql.statements.period import read_known
    from deepnode_ledger.snapshot import Snapshot
    from deepnode_projections.registers.at import StateAt
    from deepnode_projections.restating import restate_epoch

    position = reading.checkpoint.position
    then = position if known is None else read_known(reading, known)
    if then > position:
        raise BadInput(f"position {then} is ahead of the books, which are at {position}")
    connection = driver_connection(reading.database)
    past = StateAt(connection, position)
    return restate_epoch(past, reading.manifest, number, then, Snapshot(connection), corrected=corrected)


def _data(found: "Restated", symbols: Mapping[bytes, str]) -> dict[str, Any]:
    return {
        "epoch": found.epoch,
        "known_position": found.known_position,
        "position": found.position,
        "earners": [
            {
                "asset": to_hex(each.asset),
                "symbol": symbols.get(each.asset, ""),
                "earner": to_hex(each.earner),
                "known": str(each.known),
                "now": str(each.now),
                "corrected": str(each.corrected),
                "difference": str(each.difference),
            }
            for each in found.earners
        ],
        "work": [
            {
                "domain": to_hex(each.domain),
                "node": to_hex(each.node),
                "counted": str(each.counted),
                "corrected": str(each.corrected),
            }
            for each in found.work
        ],
        "corrections": [_cause(each) for each in found.causes],
    }


def _cause(cause: "Cause") -> dict[str, Any]:
    made = cause.correction
    return {
        "position": made.corrected_position,
        "producer": made.producer,
        "event_id": made.event_id,
        "corrects": made.corrects,
        "value_name": made.value_name,
        "told": str(made.told),
        "value": None if made.value is None else str(made.value),
        "epoch": made.epoch,
        "in_time": made.in_time,
        "holds": cause.holds,
        "reason": made.reason,
        "task": None if made.task is None else to_hex(made.task),
    }


def _text(found: "Restated", symbols: Mapping[bytes, str]) -> str:
    known = "now" if found.known_position == found.position else f"position {found.known_position}"
    head = (
        f"Epoch {found.epoch}, base units: as known at {known}, as known now (position {found.position}), as corrected"
    )
    rows: list[Sequence[str]] = [("earner", "token", "as known", "now", "as corrected", "difference")]
    for each in found.earners:
        amounts = (
            str(each.known),
            str(each.now),
            str(each.corrected),
            f"{each.difference:+d}" if each.difference else "0",
        )
        rows.append((to_hex(each.earner), symbols.get(each.asset, to_hex(each.asset)), *amounts))
    lines = [head, *_aligned(rows)] if found.earners else [head, "Nobody has earned anything for it."]
    if found.work:
        work = [(to_hex(each.node), str(each.counted), str(each.corrected)) for each in found.work]
        lines += ["", "Work, VWU × difficulty in ppm", *_aligned([("node", "counted", "as corrected"), *work])]
    lines += ["", *(_sentence(each) for each in found.causes)] if found.causes else ["", "Nothing of it was corrected."]
    return "\n".join(lines)


def _sentence(cause: "Cause") -> str:
    made = cause.correction
    right = "withdrawn" if made.value is None else f"corrected to {made.value}"
    counts = "in time: the books follow it" if made.in_time else "counted by then: the books stay"
    newer = "" if cause.holds else "; a newer correction holds"
    return (
        f"{made.value_name} {made.told} of event {made.corrects} (epoch {made.epoch}, {made.producer}) "
        f"{right} at position {made.corrected_position} ({made.reason!a}); {counts}{newer}"
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            f"{cell:<{width}}" if not place else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines

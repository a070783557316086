"""A what-if in words: tables for people, and JSON for programs with the whole integers."""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from deepnode_cli.whatif_files import SCHEMAS, rows_of
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest

if TYPE_CHECKING:
    from deepnode_projections.whatif import PressureRow, Total, WhatIf

WIDTH_MIN: Final = 130
"""Lines are as wide as the tables need, whatever the terminal is: a figure that is cut off would be another one."""

TEXT_WIDTH: Final = 100
ROWS_MAX: Final = 40
"""Domains or epochs in a table; the earlier ones share a row."""

_PLACES: Final = 4
_MICRO: Final = 6

FIXED: Final = (
    "Facts stay: the tasks and their verdicts, payments, stakes, prices, what was minted, and what revenue's leg z "
    "brought to the pools. What changes is how they are counted and divided. Nobody reacts to it."
)


def as_json(found: "WhatIf", manifest: Manifest) -> Iterator[str]:
    """Yield the outcome as lines of JSON: first what it is of, then each table's rows, then sums. Amounts are texts."""
    from deepnode_projections.whatif import by_earner, by_role, spread

    yield json.dumps({"table": "what-if", **_said(found, manifest)})
    for name in SCHEMAS:
        for row in rows_of(found, name):
            yield json.dumps({"table": name, **_texts(row)})
    for kind, totals in (("roles", by_role(found.changes)), ("earners", by_earner(found.changes))):
        for each in totals:
            who = each.name if isinstance(each.name, str) else to_hex(each.name)
            sums = {"was": each.was, "scenario": each.scenario, "difference": each.difference}
            yield json.dumps({"table": kind, "name": who, "asset": to_hex(each.asset), **_texts(sums)})
    for asset in _assets(found):
        own = [each for each in by_earner(found.changes) if each.asset == asset]
        for side in ("was", "scenario"):
            held = spread(getattr(each, side) for each in own)
            told = {"earners": held.earners, "over": str(held.over), "under": str(held.under), "ppm": held.ppm}
            yield json.dumps({"table": "spread", "side": side, "asset": to_hex(asset), **told})


def show(found: "WhatIf", manifest: Manifest, summary: str, top: int) -> None:
    """Write the outcome to standard output, for people."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.width = max(console.width if sys.stdout.isatty() else 0, WIDTH_MIN)
    console.print(f"What if: {found.scenario.name}", style="bold")
    console.print(summary)
    console.print(FIXED, width=TEXT_WIDTH, soft_wrap=False)
    console.print()
    for line in _head(found):
        console.print(line)
    parts: list[Table | str] = [each for asset in _assets(found) for each in _of_asset(found, manifest, asset, top)]
    for part in (*parts, _domains(found), _epochs(found), *_splits(found, manifest)):
        console.print()
        console.print(part)


def _head(found: "WhatIf") -> Iterator[str]:
    scenario = found.scenario
    yield f"log             to position {found.was.position}, state root {to_hex(found.was.root)}"
    yield f"under scenario  state root {to_hex(found.under.root)}"
    yield f"scenario        {to_hex(scenario.digest)}, from epoch {scenario.from_epoch} on"
    total = sum(each.difference for each in found.changes)
    pools = _moved_pools(found)
    yield f"conserved       all differences sum to {total}; {pools[0]} pools as large as they were, {pools[1]} are not"
    if found.under.division.kept:
        epochs = ", ".join(map(str, found.under.division.kept))
        yield f"kept            epochs {epochs} are divided over the domains as the chain did: the books cannot redo it"
    if found.chain_differed:
        yield f"chain           {found.chain_differed} parts were paid otherwise than the chain's own rules give"
    if found.was.refusals != found.under.refusals:
        yield f"without effect  {found.was.refusals} entries as it was, {found.under.refusals} under the scenario"


def _moved_pools(found: "WhatIf") -> tuple[int, int]:
    from deepnode_projections.whatif import of_pools

    sums = of_pools(found.changes).values()
    same = sum(was == scenario for was, scenario in sums)
    return same, len(sums) - same


def _of_asset(found: "WhatIf", manifest: Manifest, asset: bytes, top: int) -> Iterator[Table | str]:
    from deepnode_projections.whatif import by_earner, by_role, spread

    symbol, decimals = _token(manifest, asset)
    roles = [each for each in by_role(found.changes) if each.asset == asset]
    yield _totals(f"By role, {symbol}", roles, decimals, with_sum=True)
    earners = [each for each in by_earner(found.changes) if each.asset == asset]
    gain = [each for each in earners if each.difference > 0][:top]
    lose = [each for each in reversed(earners) if each.difference < 0][:top]
    for title, who in (("gain", gain), ("lose", lose)):
        if who:
            yield _totals(f"Who {title} most, {symbol}", who, decimals)
    was, scenario = (spread(getattr(each, side) for each in earners) for side in ("was", "scenario"))
    yield (
        f"How unequally {symbol} is spread (Gini, 0 to 1): {_ppm(was.ppm)} over {was.earners} earners as it was, "
        f"{_ppm(scenario.ppm)} over {scenario.earners} under the scenario"
    )


def _totals(title: str, totals: Iterable["Total"], decimals: int, *, with_sum: bool = False) -> Table:
    table = _table(title, "", "as it was", "under the scenario", "difference", "%")
    listed = list(totals)
    for each in listed:
        who = each.name if isinstance(each.name, str) else to_hex(each.name)
        table.add_row(who, *_three(each.was, each.scenario, decimals))
    if with_sum:
        was, scenario = (sum(getattr(each, side) for each in listed) for side in ("was", "scenario"))
        table.add_section()
        table.add_row("all", *_three(was, scenario, decimals))
    return table


def _domains(found: "WhatIf") -> Table:
    return _pressure_table("domain", found, lambda row: f"{to_hex(row.domain)[:18]}…")


def _epochs(found: "WhatIf") -> Table:
    return _pressure_table("epoch", found, lambda row: str(row.epoch))


def _pressure_table(by: str, found: "WhatIf", name: Any) -> Table:
    """Sum the sell pressure by domain or by epoch: dollars; coverage is created of needed."""
    table = _table(
        f"Value created beside value needed to bear what is sold, by {by}, US dollars",
        *(
            by,
            "created",
            "needed",
            "scenario",
            "difference",
            "covers",
            "scenario",
            "miners+stakers",
            "scenario",
            "unpriced",
        ),
    )
    sums: dict[str, list[int]] = {}
    for side, rows in enumerate((found.was.pressures, found.under.pressures)):
        for row in rows:
            held = sums.setdefault(name(row), [0] * 6)
            _add(held, row, side)
    whole = [sum(each) for each in zip(*sums.values(), strict=True)] if sums else []
    for key, held in _shortened(sums).items():
        table.add_row(key, *_pressure_cells(held))
    if len(sums) > 1:
        table.add_section()
        table.add_row("all", *_pressure_cells(whole))
    return table


def _shortened(sums: dict[str, list[int]]) -> dict[str, list[int]]:
    """Put the rows that are too many for a screen into one, the first of them: files and JSON have them all."""
    if len(sums) <= ROWS_MAX:
        return sums
    keys = list(sums)
    early = keys[: len(keys) - ROWS_MAX + 1]
    first = {f"{len(early)} more": [sum(each) for each in zip(*(sums[key] for key in early), strict=True)]}
    return first | {key: sums[key] for key in keys[len(early) :]}


def _add(held: list[int], row: "PressureRow", side: int) -> None:
    held[1 + side] += row.needed
    held[3 + side] += row.two_needed
    if side == 0:
        held[0] += row.created
        held[5] += row.unpriced


def _pressure_cells(held: list[int]) -> list[str]:
    created, was, scenario, two_was, two_scenario, unpriced = held
    shown = [_shown(each, _MICRO, 2) for each in (created, was, scenario)]
    difference = _shown(scenario - was, _MICRO, 2, signed=True)
    covers = [_ppm(created * 1_000_000 // needed) if needed else "-" for needed in (was, scenario)]
    return [*shown, difference, *covers, *(_shown(each, _MICRO, 2) for each in (two_was, two_scenario)), str(unpriced)]


def _splits(found: "WhatIf", manifest: Manifest) -> Iterator[Table | str]:
    if not any(each.difference for each in found.splits):
        yield "No leg of revenue changes."
        return
    for asset in sorted({each.asset for each in found.splits}):
        symbol, decimals = _token(manifest, asset)
        table = _table(f"Legs of revenue, {symbol}", "", "as it was", "under the scenario", "difference", "%")
        own = [each for each in found.splits if each.asset == asset]
        for leg in dict.fromkeys(each.leg for each in own):
            was, scenario = (sum(getattr(e, side) for e in own if e.leg == leg) for side in ("was", "scenario"))
            table.add_row(leg, *_three(was, scenario, decimals))
        table.add_section()
        was, scenario = (sum(getattr(each, side) for each in own) for side in ("was", "scenario"))
        table.add_row("all", *_three(was, scenario, decimals))
        yield table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place == 0 else "right", no_wrap=True)
    return table


def _three(was: int, scenario: int, decimals: int) -> tuple[str, str, str, str]:
    difference = scenario - was
    percent = _shown(_cut(difference * 10_000, was), 2, 2, signed=True) if was else "-"
    one, other = (_shown(each, decimals, _PLACES) for each in (was, scenario))
    return one, other, _shown(difference, decimals, _PLACES, signed=True), percent


def _shown(amount: int, decimals: int, places: int, *, signed: bool = False) -> str:
    """Write an amount with so many places, cut off: whoever needs all of them takes ``--json``."""
    whole, part = divmod(abs(amount), 10**decimals)
    sign = "-" if amount < 0 else "+" if signed and amount > 0 else ""
    digits = str(part).rjust(decimals, "0")[:places] if decimals else ""
    return f"{sign}{whole:,}{'.' if digits else ''}{digits}".replace(",", " ")


def _cut(amount: int, by: int) -> int:
    """Divide towards zero, so that the same gain and loss show the same digits."""
    return abs(amount) // by * (1 if amount >= 0 else -1)


def _ppm(ppm: int) -> str:
    return _shown(ppm, _MICRO, 3)


def _token(manifest: Manifest, asset: bytes) -> tuple[str, int]:
    token = manifest.get(asset)
    return (to_hex(asset), 0) if token is None else (token.symbol or token.name, token.decimals or 0)


def _assets(found: "WhatIf") -> list[bytes]:
    return sorted({each.asset for each in found.changes})


def _texts(row: dict[str, Any]) -> dict[str, Any]:
    """Write amounts as texts: JSON's readers round large numbers. An epoch is none."""
    return {
        name: str(value) if isinstance(value, int) and name not in ("epoch", "unpriced") else value
        for name, value in row.items()
    }


def _said(found: "WhatIf", manifest: Manifest) -> dict[str, Any]:
    scenario = found.scenario
    same, moved = _moved_pools(found)
    return {
        "name": scenario.name,
        "scenario": to_hex(scenario.digest),
        "canonical": json.loads(scenario.canonical),
        "manifest": to_hex(manifest.digest),
        "position": found.was.position,
        "stateRoot": to_hex(found.was.root),
        "stateRootUnderScenario": to_hex(found.under.root),
        "epochs": [
            {
                "epoch": one.epoch,
                "position": one.position,
                "root": to_hex(one.root),
                "rootUnderScenario": to_hex(other.root),
            }
            for one, other in zip(found.was.ended, found.under.ended, strict=True)
        ],
        "differencesSumTo": str(sum(each.difference for each in found.changes)),
        "poolsSame": same,
        "poolsMoved": moved,
        "epochsKept": list(found.under.division.kept),
        "chainDiffered": found.chain_differed,
        "refusals": {"was": found.was.refusals, "scenario": found.under.refusals},
    }

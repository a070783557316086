"""Verifying an export: what it says of itself, its schema and order, and what its rows prove among themselves."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa

from deepnode_cli.verifying.finding import FINDINGS_MAX, Finding
from deepnode_cli.verifying.single.beside import Beside
from deepnode_cli.verifying.single.broken import Broken, error, note, require, warning
from deepnode_cli.verifying.single.export_beside import compare
from deepnode_cli.verifying.single.export_reading import Export, Row, open_export
from deepnode_ledger.errors import BadInput
from deepnode_projections.maths.apportion import Share

STAGE: Final = "export"

MALFORMED: Final = (KeyError, TypeError, ValueError, IndexError, AttributeError, AssertionError, pa.ArrowException)
"""pyarrow has OSError of a truncated file, too."""

_SAID: Final = ("chain_id", "position", "block_hash", "state_root", "manifest_digest", "sorted_by")


def verify_export(path: Path, bundle: Path | None) -> Iterator[Finding]:
    """Verify a file that ``deepnode export`` or the API wrote, or one of a dataset."""
    try:
        export = open_export(path)
        yield from _described(export)
        checks = _Checks(export)
        for number, row in enumerate(export.rows(), 1):
            checks.row(number, row)
            if len(checks.found) >= FINDINGS_MAX:
                break
        yield from checks.end()
        if bundle is None:
            said = "that these rows are the books', and all of them, a file alone cannot show: give --bundle"
            yield note(STAGE, path.name, said)
        else:
            with Beside.open(bundle) as beside:
                yield from compare(export, beside)
    except Broken as broken:
        yield broken.finding(STAGE)
    except (*MALFORMED, OSError, BadInput) as failed:
        yield error(STAGE, str(path), f"the file cannot be read: {type(failed).__name__}: {failed}"[:400])


def _described(export: Export) -> Iterator[Finding]:
    """Check what a file says of itself against what its source is."""
    said = export.metadata
    if not said:
        words = f"a {export.form} file says nothing of itself: chain, position and state root are not known"
        yield warning(STAGE, "metadata", words)
        return
    for name in _SAID:
        require(name in said, "metadata", f"the file does not say its deepnode.{name}")
    for name in ("chain_id", "position"):
        require(said[name].isascii() and said[name].isdecimal(), "metadata", f"{name} is {said[name]!a:.60}")
    for name in ("state_root", "manifest_digest", "block_hash"):
        is_word = len(said[name]) == 66 and said[name].startswith("0x")
        require(is_word or (name == "block_hash" and not said[name]), "metadata", f"{name} is {said[name]!a:.80}")
    expected = ",".join(export.source.sorted_by)
    require(
        said["sorted_by"] == expected,
        "metadata",
        f"sorted by {said['sorted_by']!a:.80}, {export.source.name} is by {expected}",
    )
    if said.get("finality") != "SEALED":
        yield warning(STAGE, "metadata", "the file is of blocks that were not final when it was made")
    words = (
        f"{export.source.name} of chain {said['chain_id']} at position {said['position']}, as the file says of itself"
    )
    yield note(STAGE, "metadata", words, position=int(said["position"]))


class _Checks:
    """What rows prove among themselves, row by row, in memory of what is open."""

    def __init__(self, export: Export) -> None:
        self._export = export
        self._last: tuple[object, ...] | None = None
        self._entry = 0
        self._sums = Counter[str]()
        self._balances: dict[tuple[str, str], int] = {}
        self._rows = 0
        self._filtered = bool(export.filters)
        self.found: list[Finding] = []

    def row(self, number: int, row: Row) -> None:
        """Look at a row."""
        self._rows = number
        self._order(number, row)
        source = self._export.source.name
        if source == "postings":
            self._posting(number, row)
        elif source in ("rewards", "reward"):
            self._reward(number, row)
        elif source == "distributions" and row["pool"] is not None:
            legs = ("miners", "stakers", "validators", "owner", "models", "foundation", "undistributed")
            whole = sum(_number(row[leg]) for leg in legs)
            self._need(whole == row["pool"], number, row, f"the legs come to {whole}, the pool is {row['pool']}")

    def end(self) -> Iterator[Finding]:
        """Yield what was found."""
        self._close()
        yield from self.found
        if not self.found:
            proved = {
                "postings": "each account's balances follow from its amounts"
                + ("" if self._filtered else ", and each entry's postings sum to zero for each token"),
                "rewards": "each amount follows from its divisions",
                "distributions": "each pool is the sum of its legs",
            }.get(self._export.source.name, "rows have no sums among themselves to check")
            words = f"{self._rows} rows are in their order and of their schema; {proved}"
            yield note(STAGE, self._export.path.name, words, rows=self._rows)

    def _need(self, holds: object, number: int, row: Row, said: str) -> None:
        if not holds and len(self.found) < FINDINGS_MAX:
            position = row.get("position")
            self.found.append(error(STAGE, f"row {number}", said, *((position,) if isinstance(position, int) else ())))

    def _order(self, number: int, row: Row) -> None:
        key = tuple(row[name] for name in self._export.source.sorted_by)
        if self._last is not None:
            is_later = key > self._last if self._export.source.name == "postings" else key >= self._last
            self._need(is_later, number, row, f"the row with {key} stands behind {self._last}")
        self._last = key
        limit = self._export.metadata.get("position")
        if limit is not None:
            self._need(
                _number(row["position"]) <= int(limit), number, row, f"position {row['position']} is behind {limit}"
            )

    def _posting(self, number: int, row: Row) -> None:
        position, amount, balance = (_number(row[name]) for name in ("position", "amount", "balance"))
        key = (str(row["account"]), str(row["asset_address"]))
        if position != self._entry:
            self._close()
        self._entry = position
        self._sums[key[1]] += amount
        # Balances begin at nothing, unless the file begins later in the log.
        before = self._balances.get(key, 0 if self._export.is_whole else None)
        if before is not None:
            said = f"{key[0]} held {before}: with {amount} it holds {before + amount}, the row says {balance}"
            self._need(before + amount == balance, number, row, said)
        self._balances[key] = balance

    def _close(self) -> None:
        """An entry's postings are all there: they must sum to zero for each token."""
        if not self._filtered:
            for asset, total in self._sums.items():
                if total and len(self.found) < FINDINGS_MAX:
                    said = f"the postings of the entry come to {total} of {asset}, and not to zero"
                    self.found.append(error(STAGE, f"position {self._entry}", said, self._entry, total=total))
        self._sums.clear()

    def _reward(self, number: int, row: Row) -> None:
        amount, left = _number(row["amount"]), None
        for told in str(row["path"]).split("; "):
            of, _, rest = told.partition(" * ")
            weight, _, rest = rest.partition(" / ")
            whole, _, extra = rest.partition(" + ")
            share = Share(b"", int(of), int(weight), int(whole), int(extra))
            self._need(left in (None, share.of), number, row, f"a division of {share.of} follows one that gave {left}")
            left = share.amount
        self._need(left == amount, number, row, f"the divisions {row['path']} give {left}, the row says {amount}")


def _number(value: object) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!a:.60} is no whole number")
    return value

"""Decoding: from a run of log entries to a batch that the kernel reads, all entries of a kind at once.

This is what ``folding`` does to divide a run, carried on to cells: logs that do nothing, transfers, payments and their
splits, and the frequent statements about tasks. Whatever else there is, or may need a closer look, is left to the
rules. Of an entry's bytes nothing is said here that ``decoding.decode`` and ``statement.read`` of the ledger would not
say; tests hold the two together.
"""

from collections.abc import Collection
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepnode_ledger.batch import entries
from deepnode_ledger.bulk import Decoded, decode_rows
from deepnode_ledger.bulk_statements import StatementColumns, decode_statements
from deepnode_ledger.column import Fixed, Mask, Wide
from deepnode_ledger.decoding import Unknown, decode
from deepnode_ledger.gathering import Group, Rows, Stranger, gather
from deepnode_ledger.posting import AMOUNT_LIMIT
from deepnode_ledger.record import Finality
from deepnode_ledger.roster import Roster
from deepnode_ledger.vocabulary import KINDS
from deepnode_projections.books import Quarantined
from deepnode_projections.folds.transfers import is_transfer
from deepnode_projections.kernel import ops
from deepnode_projections.kernel.decoded import PLACES, Cells, DecodedBatch
from deepnode_projections.kernel.decoding_moves import Move, Moves
from deepnode_projections.kernel.decoding_prices import put_prices
from deepnode_projections.kernel.decoding_sheet import Sheet, chosen
from deepnode_projections.kernel.decoding_tasks import halves_of, put_statements
from deepnode_projections.kernel.op_cells import CELLS
from deepnode_projections.rules import book

_PAYMENTS: Final = {
    event: op
    for event in KINDS["RevenueRouter"]
    for name, op in (("RevenueReceived", ops.RECEIVED), ("RevenueSplit", ops.SPLIT))
    if event.name == name
}


def decode_batch(batch: pa.RecordBatch, roster: Roster, uncertain: Collection[bytes]) -> DecodedBatch:
    """Read a run of entries for the kernel.

    Args:
        batch: entries with the columns of ``batch_versions.SCHEMA``, without a gap.
        roster: the contracts that are known, with those that the batch announces.
        uncertain: addresses that become contracts within the batch: what they are depends on where a log stands.
    """
    run = _Run(batch, roster, uncertain)
    gathered = gather(batch, roster)
    for stranger in gathered.strangers:
        run.add_strangers(stranger)
    for group in gathered.groups:
        run.add_group(group)
    read, left = decode_statements(batch)
    for statements in read:
        run.add_statements(statements)
    run.add_prices(left)
    return run.decoded()


class _Run:
    """A batch on its way."""

    def __init__(self, batch: pa.RecordBatch, roster: Roster, uncertain: Collection[bytes]) -> None:
        self._batch = batch
        self._roster = roster
        self._uncertain = pa.array(sorted(uncertain), pa.binary(20))
        self._sheet = Sheet(batch.num_rows)
        self._quarantined: list[Quarantined] = []
        self._moves = Moves()

    def decoded(self) -> DecodedBatch:
        holders, pockets = self._moves.put(self._sheet, self._roster)
        starts, cells = self._sheet.filled()
        events, event_ends = self._sheet.events
        return DecodedBatch(
            first=self._batch.column("position")[0].as_py(),
            ops=self._sheet.ops,
            starts=starts,
            cells=cells,
            ids=self._sheet.ids,
            hashes=self._sheet.hashes,
            names=self._sheet.names,
            events=events,
            event_ends=event_ends,
            holders=holders,
            pockets=pockets,
            quarantined=sorted(self._quarantined, key=lambda each: each.position),
            told_places=self._batch.select(PLACES),
            singles=self._singles(),
        )

    def add_strangers(self, stranger: Stranger) -> None:
        """Quarantine logs that no ABI explains: why depends on nothing but what they have in common."""
        [first] = entries(self._batch.slice(int(stranger.rows[0]), 1), Finality.PENDING)
        unknown = decode(first, self._roster)
        assert isinstance(unknown, Unknown), first.position
        positions = self._batch.column("position").take(pa.array(stranger.rows)).to_pylist()
        self._quarantined += [Quarantined(p, stranger.address, stranger.topic0, unknown.reason) for p in positions]
        self._sheet.put(ops.NOTHING, stranger.rows)

    def add_group(self, group: Group) -> None:
        """Read the logs of an event, if they are of those that are read at once."""
        payment = _PAYMENTS.get(group.event) if group.contract.kind == "RevenueRouter" else None
        # A router that a factory made may share its address with a contract of another chain, and is rare.
        if payment is not None and self._roster.manifest.contracts.get(group.contract.address) is not group.contract:
            return
        has_rule = book.has_rule(group.contract.kind, group.name)
        if has_rule and payment is None and not is_transfer(group):
            return
        decoded = decode_rows(group.event, self._batch, group.rows)
        self._quarantine(group, decoded)
        if is_transfer(group):
            self._add_transfers(group, decoded)
        elif payment is not None:
            self._add_payments(payment, group, decoded)
        else:
            self._sheet.put(ops.NOTHING, group.rows[decoded.good])

    def add_statements(self, said: StatementColumns) -> None:
        """Take statements of a type; a task whose price is in no token is left to the rules."""
        asset, which = said.columns.get("asset"), np.ones(len(said.rows), np.bool_)
        if asset is not None:
            assert isinstance(asset, Fixed)
            which = self._are_tokens(said.rows, asset)
        put_statements(self._sheet, self._batch, said, which)

    def add_prices(self, rows: Rows) -> None:
        """Take the prices among the rows of task events."""
        put_prices(self._sheet, self._batch, rows, self._are_tokens)

    def _quarantine(self, group: Group, decoded: Decoded) -> None:
        for index, reason in decoded.reasons.items():
            position = self._batch.column("position")[int(group.rows[index])].as_py()
            self._quarantined.append(Quarantined(position, group.contract.address, group.event.topic0, reason))
        if decoded.reasons:
            self._sheet.put(ops.NOTHING, group.rows[~decoded.good])

    def _add_transfers(self, group: Group, decoded: Decoded) -> None:
        giver, taker, value = (decoded.columns[name] for name in ("from", "to", "value"))
        assert isinstance(giver, Fixed)
        assert isinstance(taker, Fixed)
        assert isinstance(value, Wide)
        high, low = value.hi_lo()
        told = decoded.good & value.below(AMOUNT_LIMIT)
        if len(self._uncertain):
            told &= ~(self._is_uncertain(giver) | self._is_uncertain(taker))
        moves = (high | low) != 0
        self._sheet.put(ops.NOTHING, group.rows[told & ~moves])
        moving = chosen(told & moves)
        rows = group.rows[moving]
        if not len(rows):
            return
        chain_id = self._batch.column("chain_id")[int(rows[0])].as_py()
        token = self._sheet.id(group.contract.address)
        self._moves.add(
            Move(chain_id, token, rows, giver.octets[moving], taker.octets[moving], *halves_of(value, moving))
        )

    def _add_payments(self, op: int, group: Group, decoded: Decoded) -> None:
        told, asset = decoded.good.copy(), decoded.columns["asset"]
        for column in decoded.columns.values():
            if isinstance(column, Wide):
                told &= column.below(AMOUNT_LIMIT)
        assert isinstance(asset, Fixed)
        told[told] = self._are_tokens(group.rows[told], Fixed(asset.octets[told]))
        some = chosen(told)
        rows = group.rows[some]
        if not len(rows):
            return
        columns: list[Cells] = []
        for cell in CELLS[op]:
            if cell.name == "contract":
                columns.append(np.full(len(rows), self._sheet.id(group.contract.address), np.int64))
                continue
            column = decoded.columns[cell.name]
            if isinstance(column, Wide):
                columns += halves_of(column, some)
            else:
                assert isinstance(column, Fixed)
                columns.append(self._sheet.numbered(column.octets[some]))
        self._sheet.put(op, rows, columns)

    def _are_tokens(self, rows: Rows, assets: Fixed) -> Mask:
        """Say of each asset, that the row beside it names, whether it is a token for certain."""
        found: Mask = np.zeros(len(rows), np.bool_)
        chains = self._batch.column("chain_id").take(pa.array(rows)).to_numpy()
        encoded = assets.arrow().dictionary_encode()
        numbers, addresses = encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
        for chain_id in np.unique(chains).tolist():
            contracts = [self._roster.get(address, chain_id) for address in addresses]
            are_tokens = np.array([each is not None and each.kind == "Token" for each in contracts], np.bool_)
            found |= (chains == chain_id) & are_tokens[numbers]
        return found & ~self._is_uncertain(assets)

    def _singles(self) -> pa.RecordBatch:
        """Take the rows that are left to the rules."""
        rows = np.flatnonzero(self._sheet.ops == ops.RULES)
        return self._batch if len(rows) == self._batch.num_rows else self._batch.take(pa.array(rows))

    def _is_uncertain(self, addresses: Fixed) -> Mask:
        mask: Mask = pc.is_in(addresses.arrow(), self._uncertain).to_numpy(zero_copy_only=False)
        return mask

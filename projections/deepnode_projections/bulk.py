"""The books' rows written in bulk, from columns: what ``books`` does row by row where it is the definition."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from psycopg import Cursor
from psycopg.rows import DictRow, tuple_row

from deepnode_ledger.account import Account
from deepnode_ledger.posting import Entry
from deepnode_ledger.record import BlockRef
from deepnode_projections import copying, posting_columns
from deepnode_projections.copying import Column, Numeric
from deepnode_projections.folds import limbs
from deepnode_projections.folds.transfers import TRANSFER, Integers, Transfers
from deepnode_projections.posting_columns import WALLET, Postings

ENTRY: Final = "entry (position, chain_id, kind, contract, block_number, block_time, transaction_hash, log_index)"
POSTING: Final = "posting (position, leg, account_id, asset_id, amount, balance)"
ACCOUNT: Final = "account (account_id, name, owner, pocket, key, holder, first_position)"

_SET_BALANCES: Final = (
    "INSERT INTO balance SELECT * FROM unnest(%s::bigint[], %s::smallint[], %s::numeric[], %s::bigint[])"
    " ON CONFLICT (account_id, asset_id) DO UPDATE SET balance = excluded.balance, position = excluded.position"
)

_SET_BLOCKS: Final = (
    "INSERT INTO block SELECT * FROM unnest(%s::bigint[], %s::bytea[], %s::bigint[], %s::bigint[])"
    " ON CONFLICT (number) DO UPDATE SET last_position = excluded.last_position"
)


def write(
    cursor: Cursor[DictRow], transfers: Sequence[Transfers], entries: Sequence[Entry], asset_ids: Mapping[bytes, int]
) -> None:
    """Write the entries of transfers, and the postings of these and of other entries.

    Raises:
        BeyondLimit: a balance would come to 10**38 or more; nothing was written.
    """
    postings = posting_columns.gather(transfers, entries, asset_ids)
    ids = _account_ids(cursor, postings.accounts.names)
    held = _balances(cursor, ids[ids > 0])
    numbers = ids.tolist()
    balances = posting_columns.run(postings, lambda account, asset: held.get((numbers[account], asset), 0))
    _enrol(cursor, postings, ids)
    for each in transfers:
        _copy_entries(cursor, each)
    account_ids, assets = ids[postings.account], postings.asset.astype(np.int16)
    amounts, after = Numeric(limbs.normal(postings.amount)), Numeric(balances.after)
    columns: list[Column] = [postings.position, postings.leg.astype(np.int16), account_ids, assets, amounts, after]
    copying.copy(cursor, POSTING, len(account_ids), columns)
    last = balances.last
    set_balances(cursor, account_ids[last], assets[last], balances.after[:, last], postings.position[last])


def set_balances(
    cursor: Cursor[DictRow],
    accounts: Integers,
    assets: npt.NDArray[np.int16],
    balances: limbs.Numbers,
    positions: Integers,
) -> None:
    """Write balances in normal form, each after the posting at its position, in place of those before."""
    copying.teach(cursor).execute(
        _SET_BALANCES,
        (
            copying.array("bigint", accounts),
            copying.array("smallint", assets),
            copying.array("numeric", Numeric(balances)),
            copying.array("bigint", positions),
        ),
    )


def write_blocks(cursor: Cursor[DictRow], blocks: Iterable[tuple[BlockRef, int]]) -> None:
    """Write blocks, each with the last position under it; one that is there goes on to that position."""
    rows = list(blocks)
    if rows:
        copying.teach(cursor).execute(
            _SET_BLOCKS,
            (
                copying.array("bigint", np.array([block.number for block, _ in rows])),
                copying.array("bytea", np.frombuffer(b"".join(b.hash for b, _ in rows), np.uint8).reshape(-1, 32)),
                copying.array("bigint", np.array([block.time for block, _ in rows])),
                copying.array("bigint", np.array([last_position for _, last_position in rows])),
            ),
        )


def _copy_entries(cursor: Cursor[DictRow], transfers: Transfers) -> None:
    columns: list[Column] = [
        transfers.position,
        np.full(len(transfers.position), transfers.chain_id),
        TRANSFER.name.encode(),
        transfers.token.name.encode(),
        transfers.block_number,
        transfers.block_time,
        transfers.transaction_hash,
        transfers.log_index,
    ]
    copying.copy(cursor, ENTRY, len(transfers.position), columns)


def _account_ids(cursor: Cursor[DictRow], names: Sequence[str]) -> Integers:
    """Return the accounts' ids, 0 for those that are new."""
    rows = copying.teach(cursor.connection.cursor(row_factory=tuple_row, binary=True))
    rows.execute("SELECT name, account_id FROM account WHERE name = ANY(%s::text[])", (copying.text_array(names),))
    known: dict[str, int] = dict(rows.fetchall())
    return np.array([known.get(name, 0) for name in names], np.int64)


def _balances(cursor: Cursor[DictRow], ids: Integers) -> dict[tuple[int, int], int]:
    rows = copying.teach(cursor.connection.cursor(row_factory=tuple_row, binary=True))
    rows.execute(
        "SELECT account_id, asset_id, balance FROM balance WHERE account_id = ANY(%s::bigint[])",
        (copying.array("bigint", np.sort(ids)),),
    )
    # NUMERIC without a fraction comes as a Decimal; int() of it is exact at any size.
    return {(account_id, asset_id): int(balance) for account_id, asset_id, balance in rows}


def _enrol(cursor: Cursor[DictRow], postings: Postings, ids: Integers) -> None:
    """Give the accounts that have their first posting here ids, numbered in its order, and write them."""
    firsts = postings.firsts()
    new = np.flatnonzero((ids == 0) & (firsts < len(postings.position)))
    if not len(new):
        return
    new = new[np.argsort(firsts[new])]
    cursor.execute("SELECT coalesce(max(account_id), 0) AS last FROM account")
    row = cursor.fetchone()
    assert row is not None
    ids[new] = np.arange(1, len(new) + 1) + int(row["last"])
    holders, names = postings.accounts.holders, postings.accounts.names
    wallets = np.array([number for number in new.tolist() if isinstance(holders[number], bytes)], np.int64)
    if len(wallets):
        addresses = np.frombuffer(b"".join(holders[number] for number in wallets.tolist()), np.uint8).reshape(-1, 20)
        texts = np.frombuffer("".join(names[number] for number in wallets.tolist()).encode(), np.uint8)
        texts = texts.reshape(len(wallets), len(WALLET) + 40)
        first_positions = postings.position[firsts[wallets]]
        columns: list[Column] = [ids[wallets], texts, b"Wallet", b"", addresses, addresses, first_positions]
        copying.copy(cursor, ACCOUNT, len(wallets), columns)
    pockets = [number for number in new.tolist() if isinstance(holders[number], Account)]
    if pockets:
        with cursor.copy(f"COPY {ACCOUNT} FROM STDIN".encode()) as rows:
            for number in pockets:
                a, first = holders[number], int(postings.position[firsts[number]])
                assert isinstance(a, Account)
                rows.write_row((int(ids[number]), a.name, a.owner, a.pocket, a.key, a.holder, first))

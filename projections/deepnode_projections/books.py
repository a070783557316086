"""The books' rows: written, rolled back and read within the caller's transaction.

Unqualified table names are meant: the connection's ``search_path`` says which books (see ``tables``).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from psycopg import Cursor
from psycopg.rows import DictRow

from deepnode_ledger.account import Account
from deepnode_ledger.contract import Contract
from deepnode_ledger.posting import Entry
from deepnode_ledger.record import BlockRef, ChainLog, LogEntry
from deepnode_projections import bulk
from deepnode_projections.folds import running_balance
from deepnode_projections.folds.running_balance import BalanceKey, Posted
from deepnode_projections.folds.transfers import Transfers
from deepnode_projections.registers.kept import roll_back as roll_back_records
from deepnode_projections.rules.book import RECORDS, Refusal


class Quarantined(NamedTuple):
    """A log without a meaning, and why it has none."""

    position: int
    address: bytes
    topic0: bytes | None
    reason: str


@dataclass(slots=True)
class Page:
    """What a run of log entries did to the books, before it is written. Lists are in the order of positions.

    Blocks are those of the home chain. What is among the transfers is not among the entries.
    """

    blocks: dict[int, tuple[BlockRef, int]] = field(default_factory=dict)
    transfers: list[Transfers] = field(default_factory=list)
    entries: list[tuple[LogEntry, Entry]] = field(default_factory=list)
    refusals: list[tuple[LogEntry, str, str, Refusal]] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)


def assets(cursor: Cursor[DictRow], tokens: Iterable[Contract]) -> dict[bytes, int]:
    """Return the id of each token by address, enrolling those that are new."""
    cursor.execute("SELECT asset_id, address FROM asset ORDER BY asset_id")
    known = {bytes(row["address"]): int(row["asset_id"]) for row in cursor.fetchall()}
    for token in tokens:
        if token.address not in known:
            known[token.address] = len(known) + 1
            cursor.execute(
                "INSERT INTO asset VALUES (%s, %s, %s, %s)",
                (known[token.address], token.address, token.symbol, token.decimals),
            )
    return known


def write(cursor: Cursor[DictRow], page: Page, asset_ids: Mapping[bytes, int]) -> None:
    """Write a page of results. Running balances continue from those in the table of the present.

    Raises:
        BeyondLimit: there are transfers on the page, and a balance would come to 10**38 or more. Nothing was written:
            only the page without transfers, all entries, can tell which of them has no effect.
    """
    if page.transfers:
        bulk.write(cursor, page.transfers, [entry for _, entry in page.entries], asset_ids)
        _copy(cursor, bulk.ENTRY, [_entry_row(logged, entry) for logged, entry in page.entries])
    else:
        _write_entries(cursor, page.entries, asset_ids)
    bulk.write_blocks(cursor, page.blocks.values())
    _copy(
        cursor,
        "refusal (position, kind, contract, reason)",
        [(logged.position, kind, contract, refusal.reason) for logged, kind, contract, refusal in page.refusals],
    )
    _copy(cursor, "quarantine (position, address, topic0, reason)", page.quarantined)


def _write_entries(
    cursor: Cursor[DictRow], entries: Sequence[tuple[LogEntry, Entry]], asset_ids: Mapping[bytes, int]
) -> None:
    if not entries:
        return
    names = {posting.account.name for _, entry in entries for posting in entry.postings}
    account_ids = _account_ids(cursor, names)
    posted, refused = running_balance.run(_balances(cursor, account_ids, asset_ids), (entry for _, entry in entries))
    account_ids |= _new_accounts(cursor, posted, account_ids)
    rows = [
        (
            p.position,
            p.leg,
            account_ids[p.posting.account.name],
            asset_ids[p.posting.asset],
            p.posting.amount,
            p.balance,
        )
        for p in posted
    ]
    reasons = {each.position: each.reason for each in refused}
    _copy(
        cursor,
        bulk.ENTRY,
        [_entry_row(logged, entry) for logged, entry in entries if entry.position not in reasons],
    )
    _copy(cursor, bulk.POSTING, rows)
    _copy(
        cursor,
        "refusal (position, kind, contract, reason)",
        [(e.position, e.kind, e.contract, reasons[e.position]) for _, e in entries if e.position in reasons],
    )
    newest = {(account, asset): (after, position) for position, _, account, asset, _, after in rows}
    cursor.executemany(
        "INSERT INTO balance VALUES (%s, %s, %s, %s) ON CONFLICT (account_id, asset_id)"
        " DO UPDATE SET balance = excluded.balance, position = excluded.position",
        [(*key, after, position) for key, (after, position) in newest.items()],
    )


def roll_back(cursor: Cursor[DictRow], kept_position: int, tokens: Collection[bytes]) -> None:
    """Take back everything above a position, so that the books are as they were there.

    A block that begins at or below the position and ends above it is the caller's to write again, by the log.
    ``tokens`` are the addresses of those that are known there: what factories made above it goes.
    """
    cursor.execute(
        "DELETE FROM balance b USING (SELECT DISTINCT account_id, asset_id FROM posting WHERE position > %s) gone"
        " WHERE b.account_id = gone.account_id AND b.asset_id = gone.asset_id RETURNING b.account_id, b.asset_id",
        (kept_position,),
    )
    touched = [(row["account_id"], row["asset_id"]) for row in cursor.fetchall()]
    for statement in (
        "DELETE FROM posting WHERE position > %s",
        "DELETE FROM entry WHERE position > %s",
        "DELETE FROM account WHERE first_position > %s",
        "DELETE FROM refusal WHERE position > %s",
        "DELETE FROM quarantine WHERE position > %s",
        "DELETE FROM block WHERE last_position > %s",
    ):
        cursor.execute(statement.encode(), (kept_position,))
    roll_back_records(cursor, RECORDS, kept_position)
    cursor.execute(
        "INSERT INTO balance"
        " SELECT t.account_id, t.asset_id, p.balance, p.position"
        " FROM unnest(%s::bigint[], %s::smallint[]) AS t(account_id, asset_id)"
        " CROSS JOIN LATERAL (SELECT balance, position FROM posting"
        "   WHERE account_id = t.account_id AND asset_id = t.asset_id ORDER BY position DESC, leg DESC LIMIT 1) p",
        ([account for account, _ in touched], [asset for _, asset in touched]),
    )
    cursor.execute("DELETE FROM asset WHERE address <> ALL(%s)", (list(tokens),))


def _account_ids(cursor: Cursor[DictRow], names: Iterable[str]) -> dict[str, int]:
    cursor.execute("SELECT account_id, name FROM account WHERE name = ANY(%s)", (sorted(names),))
    return {row["name"]: int(row["account_id"]) for row in cursor.fetchall()}


def _new_accounts(cursor: Cursor[DictRow], posted: Sequence[Posted], known: Mapping[str, int]) -> dict[str, int]:
    """Enrol the accounts that have their first posting here, numbered in its order; return their ids by name."""
    firsts: dict[str, tuple[Account, int]] = {}
    for each in posted:
        if each.posting.account.name not in known:
            firsts.setdefault(each.posting.account.name, (each.posting.account, each.position))
    cursor.execute("SELECT coalesce(max(account_id), 0) AS last FROM account")
    row = cursor.fetchone()
    assert row is not None
    ids = {name: account_id for account_id, name in enumerate(firsts, start=int(row["last"]) + 1)}
    _copy(
        cursor,
        bulk.ACCOUNT,
        [(ids[name], name, a.owner, a.pocket, a.key, a.holder, position) for name, (a, position) in firsts.items()],
    )
    return ids


def _balances(
    cursor: Cursor[DictRow], account_ids: Mapping[str, int], asset_ids: Mapping[bytes, int]
) -> dict[BalanceKey, int]:
    cursor.execute(
        "SELECT account_id, asset_id, balance FROM balance WHERE account_id = ANY(%s)", (sorted(account_ids.values()),)
    )
    names = {account_id: name for name, account_id in account_ids.items()}
    addresses = {asset_id: address for address, asset_id in asset_ids.items()}
    # NUMERIC without a fraction comes as a Decimal; int() of it is exact at any size.
    return {(names[row["account_id"]], addresses[row["asset_id"]]): int(row["balance"]) for row in cursor.fetchall()}


def _entry_row(logged: LogEntry, entry: Entry) -> tuple[Any, ...]:
    assert isinstance(logged.record, ChainLog), logged.position
    where = (logged.block.number, logged.block.time, logged.record.transaction_hash, logged.record.log_index)
    return (entry.position, logged.chain_id, entry.kind, entry.contract, *where)


def _copy(cursor: Cursor[DictRow], target: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        with cursor.copy(f"COPY {target} FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)

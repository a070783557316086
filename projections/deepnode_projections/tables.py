"""The books' tables: each a history keyed by position, with an index for "the latest at or before P".

That one shape gives time travel (``position <= P``), rollback after a reorg (delete what is above P) and exactly-once
(the checkpoint commits with the rows). ``balance`` is the one table of the present, refreshed for the touched keys.

Amounts are base units in NUMERIC without a fraction; times are block times in seconds since 1970; hashes, addresses
and ids are raw bytes. The names have no schema: a connection's ``search_path`` chooses it, so that a rebuild can write
beside the live tables.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)

SCHEMA: Final = "books"

metadata = MetaData()

AT_ONCE: Final = {"at_once": True}
"""Marks an index that is made with its table, because whoever writes reads by it."""

AMOUNT: Final = Numeric(39, 0)
"""Base units. One digit more than an amount may have, so that the check is the books' own and not the column's."""

asset = Table(
    "asset",
    metadata,
    Column("asset_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("address", LargeBinary, nullable=False, unique=True),
    Column("symbol", Text, nullable=False),
    Column("decimals", SmallInteger, nullable=False),
)

account = Table(
    "account",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text(collation="C"), nullable=False, unique=True),
    Column("owner", Text, nullable=False),
    Column("pocket", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("holder", LargeBinary),
    Column("first_position", BigInteger, nullable=False),
    Index("account_holder", "holder"),
    Index("account_first_position", "first_position"),
)
"""Every account that ever had a posting. ``holder``: the address whose token balance includes it."""

block = Table(
    "block",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Index("block_last_position", "last_position"),
    Index("block_time", "time"),
    Index("block_hash", "hash"),
)
"""Blocks of the home chain that have log entries, and the last position under each."""

entry = Table(
    "entry",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("contract", Text, nullable=False),
    Column("block_number", BigInteger, nullable=False),
    Column("block_time", BigInteger, nullable=False),
    Column("transaction_hash", LargeBinary, nullable=False),
    Column("log_index", BigInteger, nullable=False),
    Index("entry_transaction_hash", "transaction_hash"),
)
"""What moved value: one row for each log event with postings."""

posting = Table(
    "posting",
    metadata,
    Column("position", BigInteger, nullable=False),
    Column("leg", SmallInteger, nullable=False),
    Column("account_id", BigInteger, nullable=False),
    Column("asset_id", SmallInteger, nullable=False),
    Column("amount", AMOUNT, nullable=False),
    Column("balance", AMOUNT, nullable=False),
    PrimaryKeyConstraint("position", "leg"),
)
"""``balance`` is the account's balance in the asset after this posting.

There is no foreign key: the ids come from the one projector, and to have the server look each up again took a third of
its time.
"""

Index(
    "posting_history",
    posting.c.account_id,
    posting.c.asset_id,
    posting.c.position.desc(),
    posting.c.leg.desc(),
    postgresql_include=["balance"],
)

balance = Table(
    "balance",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("asset_id", SmallInteger, nullable=False),
    Column("balance", AMOUNT, nullable=False),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("account_id", "asset_id"),
)
"""The present: each account's balance after its last posting, which stands at ``position``."""

refusal = Table(
    "refusal",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("contract", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
"""Events that the rules give no effect, and why."""

quarantine = Table(
    "quarantine",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("address", LargeBinary, nullable=False),
    Column("topic0", LargeBinary),
    Column("reason", Text, nullable=False),
)
"""Logs of our contracts that the manifest's ABIs cannot read. They are in the log; a better manifest decodes them."""

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("name", Text, primary_key=True),
    Column("manifest_digest", LargeBinary, nullable=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("sealed_position", BigInteger, nullable=False),
    Column("reorg_number", BigInteger, nullable=False),
    Column("tip_number", BigInteger),
    Column("tip_hash", LargeBinary),
    Column("tip_time", BigInteger),
    Column("finalized_number", BigInteger),
    Column("finalized_hash", LargeBinary),
    Column("finalized_time", BigInteger),
)
"""What the rows are of: every log entry up to ``position`` is in them, and every block up to the tip is in the log.

It is written in the transaction of the rows that it counts."""

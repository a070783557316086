"""Stories for the books: what contracts said, told in short, and what the books then hold, read by plain SELECTs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from hypothesis import strategies as st

from deepnode_ledger.decoding import ChainEvent, decode_log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.posting import AMOUNT_LIMIT, Entry
from deepnode_ledger.record import Block, BlockRef, ChainLog, Header
from deepnode_ledger.vocabulary import LEGS
from deepnode_projections.projector import Projector, Step
from deepnode_projections.registers.record import Record, values_of
from deepnode_projections.registers.state import MemoryState, State
from deepnode_projections.rules.book import RECORDS, Refusal, apply
from deepnode_projections.rules.scene import Scene
from deepnode_projections.state_root import root_of, state_root
from tests.ledger.histories import CHAIN_ID, ref
from tests.ledger.paper_deployment import COLLATERAL, DN, ROUTER, USDC, event_log

Said = tuple[str, str, dict[str, Any]]
"""A contract's name, its event, its arguments."""

ANNA, BEN, NOBODY = b"\x01" * 20, b"\x02" * 20, bytes(20)
NODE_1, NODE_2, CASE_1, CASE_2, TASK = (bytes([n]) * 32 for n in (0x11, 0x12, 0x21, 0x22, 0x31))
MODEL_1, MODEL_2, DOMAIN_1, DOMAIN_2 = (bytes([n]) * 32 for n in (0x51, 0x52, 0x61, 0x62))
RECEIPT_1, RECEIPT_2, NOTHING = b"\x71" * 32, b"\x72" * 32, bytes(32)


def transfer(sender: bytes, receiver: bytes, value: int, token: str = "DN") -> Said:
    return token, "Transfer", {"from": sender, "to": receiver, "value": value}


def deposited(node: bytes, amount: int) -> Said:
    return "Collateral", "Deposited", {"domain": DOMAIN_1, "node": node, "payer": ANNA, "amount": amount}


def withdrawn(node: bytes, amount: int) -> Said:
    return "Collateral", "Withdrawn", {"domain": DOMAIN_1, "node": node, "to": ANNA, "amount": amount}


def flagged(case: bytes, node: bytes) -> Said:
    args = {"caseId": case, "node": node, "taskId": TASK, "reporter": BEN, "severity": 1, "evidenceHash": NOTHING}
    return "Collateral", "Flagged", args


def review_opened(case: bytes, frozen: int) -> Said:
    return "Collateral", "ReviewOpened", {"caseId": case, "frozen": frozen}


def review_decided(case: bytes, burned: int, compensated: int, returned: int, retained: int) -> Said:
    parts = {"burned": burned, "compensated": compensated, "returned": returned, "retained": retained}
    rest = {"caseId": case, "reviewer": ANNA, "verdict": 2, "reasonHash": NOTHING, "uri": "ipfs://why"}
    return "Collateral", "ReviewDecided", rest | parts


def model_registered(model: bytes, domain: bytes) -> Said:
    args = {"model": model, "domain": domain, "creator": ANNA, "a": 1, "b": 2, "x": 3, "metaHash": NOTHING}
    return "Models", "ModelRegistered", args


def revenue_received(receipt: bytes, model: bytes, amount: int, asset: bytes = USDC) -> Said:
    args = {"receipt": receipt, "model": model, "payer": BEN, "asset": asset, "amount": amount, "ref": NOTHING}
    return "Router", "RevenueReceived", args


def revenue_refunded(receipt: bytes, amount: int) -> Said:
    return "Router", "RevenueRefunded", {"receipt": receipt, "to": BEN, "amount": amount}


def revenue_split(receipt: bytes, model: bytes, gross: int, legs: Sequence[int], asset: bytes = USDC) -> Said:
    args = {"receipt": receipt, "model": model, "asset": asset, "gross": gross, "ruleset": NOTHING}
    return "Router", "RevenueSplit", args | dict(zip(LEGS, legs, strict=True))


def released(leg: int, beneficiary: bytes, amount: int, asset: bytes = USDC) -> Said:
    return "Router", "Released", {"leg": leg, "beneficiary": beneficiary, "to": ANNA, "asset": asset, "amount": amount}


def approval() -> Said:
    """An event that the ABI knows and the books give no meaning."""
    return "DN", "Approval", {"owner": ANNA, "spender": BEN, "value": 5}


_addresses = st.sampled_from([ANNA, BEN, NOBODY, COLLATERAL, ROUTER])
_amounts = st.integers(0, 1_000) | st.sampled_from([10**30, AMOUNT_LIMIT // 100, AMOUNT_LIMIT, 2**256 - 1])
_nodes, _cases = st.sampled_from([NODE_1, NODE_2]), st.sampled_from([CASE_1, CASE_2])
_models, _receipts = st.sampled_from([MODEL_1, MODEL_2]), st.sampled_from([RECEIPT_1, RECEIPT_2])
_assets = st.sampled_from([USDC, USDC, DN, ANNA])

anything: st.SearchStrategy[Said] = st.one_of(
    st.builds(transfer, _addresses, _addresses, _amounts, st.sampled_from(["DN", "USDC"])),
    st.builds(deposited, _nodes, _amounts),
    st.builds(withdrawn, _nodes, _amounts),
    st.builds(flagged, _cases, _nodes),
    st.builds(review_opened, _cases, _amounts),
    st.builds(review_decided, _cases, _amounts, _amounts, _amounts, _amounts),
    st.builds(model_registered, _models, st.sampled_from([DOMAIN_1, DOMAIN_2])),
    st.builds(revenue_received, _receipts, _models, _amounts, _assets),
    st.builds(revenue_refunded, _receipts, _amounts),
    st.builds(revenue_split, _receipts, _models, _amounts, st.lists(_amounts, min_size=9, max_size=9), _assets),
    st.builds(released, st.integers(0, 255), _models, _amounts, _assets),
    st.just(approval()),
)
"""Any event of the vocabulary, sensible or not, over so few names that events meet."""


def decoded(manifest: Manifest, said: Said) -> ChainEvent:
    """The event as it comes out of the log."""
    contract, event, args = said
    found = decode_log(event_log(manifest, contract, event, ref(9), 0, **args), manifest)
    assert isinstance(found, ChainEvent)
    return found


def scene(manifest: Manifest, state: State, position: int, block: BlockRef) -> Scene:
    """What the entry at a position stands in, on the home chain."""
    return Scene(state, manifest, position, CHAIN_ID, block.number, block.time)


class Paper:
    """Books kept by hand, of one block: a dict of balances, the records, the refusals."""

    def __init__(self, manifest: Manifest, block: BlockRef | None = None) -> None:
        self.manifest = manifest
        self.balances: dict[tuple[str, bytes], int] = {}
        self.state = MemoryState()
        self.refusals: list[str] = []
        self.entries: list[Entry] = []
        self._block = block or ref(5)
        self._position = 0

    def book(self, *story: Said) -> "Paper":
        for said in story:
            self._position += 1
            event = decoded(self.manifest, said)
            moved = apply(event, scene(self.manifest, self.state, self._position, self._block))
            if isinstance(moved, Refusal):
                self.refusals.append(moved.reason)
                continue
            # It balances, or it could not be made.
            self.entries.append(Entry(self._position, event.name, event.contract.name, tuple(moved)))
            for posting in moved:
                key = (posting.account.name, posting.asset)
                self.balances[key] = self.balances.get(key, 0) + posting.amount
        return self

    def every(self, kind: type[Record]) -> list[Record]:
        """All records of a kind."""
        return list(self.state.every(kind))

    def root(self) -> bytes:
        """The state root, made of nothing but what is here."""
        held = sorted((name.encode(), asset, amount) for (name, asset), amount in self.balances.items())
        return root_of(
            [(name.decode(), asset, amount) for name, asset, amount in held],
            [(kind, values_of(record)) for kind in RECORDS for record in self.state.every(kind)],
        )

    def told(self) -> str:
        """The books as a table of text, ids cut to their first byte: one line an account, sorted."""
        symbols = {DN: "DN", USDC: "USDC"}
        lines = []
        for (name, asset), amount in sorted(self.balances.items()):
            short = ":".join(part[2:4] if part.startswith("0x") else part for part in name.split(":"))
            if amount:
                lines.append(f"{short} {amount} {symbols[asset]}")
        return "\n".join(lines)


def said_in(
    manifest: Manifest, number: int, story: Sequence[Said], branch: str = "a", parent: str | None = None
) -> Block:
    """A block in which contracts said so."""
    own = ref(number, branch)
    logs = [event_log(manifest, contract, event, own, n, **args) for n, (contract, event, args) in enumerate(story)]
    return Block(Header(own, ref(number - 1, parent or branch).hash), tuple(logs))


def strange(block: Block, *logs: ChainLog) -> Block:
    """The block with more logs behind its own."""
    return Block(block.header, (*block.logs, *logs))


@contextmanager
def projecting(url: str, manifest: Manifest, **options: Any) -> Iterator[Projector]:
    projector = Projector(url, manifest, **options)
    projector.open()
    try:
        yield projector
    finally:
        projector.close()


def stepped(url: str, manifest: Manifest, step_entries: int, schema: str, *, by_definition: bool = False) -> list[Step]:
    """Project into books of their own, with a restart after each step."""
    options: dict[str, Any] = {"schema": schema, "step_entries": step_entries, "by_definition": by_definition}
    steps: list[Step] = []
    while not steps or steps[-1].behind:
        with projecting(url, manifest, **options) as projector:
            steps.append(projector.step())
    return steps


def rows(url: str, statement: str, schema: str = "books") -> list[tuple[Any, ...]]:
    """What a plain SELECT finds in the books."""
    with psycopg.connect(url, options=f"-c search_path={schema}") as connection:
        return connection.execute(statement.encode()).fetchall()


def root_at(url: str, position: int, schema: str = "books") -> bytes:
    """The state root of the books at a position."""
    [root] = roots_at(url, range(position, position + 1), schema)
    return root


def roots_at(url: str, positions: range, schema: str = "books") -> list[bytes]:
    """The state roots of the books at positions, by one connection."""
    with psycopg.connect(url, options=f"-c search_path={schema}") as connection:
        return [state_root(connection, position) for position in positions]


def dump(url: str, schema: str = "books") -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of the books, apart from the checkpoint's count of reorgs."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    # By one connection: there are dozens of tables, and beginning a session takes longer than reading one of them.
    with psycopg.connect(url, options=f"-c search_path={schema}") as connection:
        for (name,) in connection.execute(
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = %s ORDER BY 1", (schema,)
        ).fetchall():
            if name != "checkpoint":
                found[name] = connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2".encode()).fetchall()
        found["checkpoint"] = connection.execute(
            "SELECT name, manifest_digest, chain_id, position, sealed_position, tip_number, tip_hash, tip_time,"
            " finalized_number, finalized_hash FROM checkpoint"
        ).fetchall()
    assert {"account", "balance", "block", "entry", "posting", "refusal", "quarantine"} <= set(found)
    return found


def balances(url: str) -> dict[tuple[str, bytes], int]:
    """The present balances by account name and asset, zeros left out."""
    found = rows(
        url,
        "SELECT a.name, s.address, b.balance"
        " FROM balance b JOIN account a USING (account_id) JOIN asset s USING (asset_id)",
    )
    return {(name, asset): int(amount) for name, asset, amount in found if amount}

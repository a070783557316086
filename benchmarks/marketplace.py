"""A marketplace's history, made up from a seed: the load of what reads whole logs.

Most of it are transfers of two tokens, as on Base. Between them tasks are asked for, done twice, judged by three
validators and credited, told by signed task events; each is paid for and the payment split; and with every hundred
blocks an epoch ends, whose emission is allocated and whose root is submitted. What contracts say of splits,
allocations, roots and trust is what the rules give: a replay goes along and is asked. So nothing is refused, and every
distribution is right.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
from eth_abi.abi import encode
from eth_keys.datatypes import PrivateKey

from deepnode_ledger.abi import EventAbi
from deepnode_ledger.batch import Row, from_rows, placed_behind, row_of
from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import BlockRef, ChainLog, Header, Kind, TaskEvent
from deepnode_ledger.statement_data import DATA_OF
from deepnode_ledger.task_signature import Scheme, signed_hash
from deepnode_ledger.vocabulary import KINDS, LEGS
from deepnode_projections import rulesets
from deepnode_projections.maths.carry import split_by
from deepnode_projections.maths.pools import pool_legs
from deepnode_projections.replay import Replay
from deepnode_projections.rules.claims import claim_tree
from deepnode_projections.rules.domains import Route, weights_at
from deepnode_projections.rules.pools import Earners
from deepnode_projections.rules.registry import MINER, VALIDATOR, Model
from deepnode_projections.rules.scene import Scene
from deepnode_projections.rules.splits import rates_of
from deepnode_projections.rules.trust import score_of
from deepnode_projections.rulesets.ruleset import Weights

CHAIN_ID: Final = 8453
FIRST_BLOCK: Final = 5
GENESIS: Final = b"\x07" * 32
BLOCKS: Final = 100
TRANSFERS: Final = 250
"""Transfers in a block."""

TASKS: Final = 250
"""Tasks in an epoch: fourteen task events each, and two logs of the router."""

ACCOUNTS: Final = 4_000
NODES: Final = 12
MODELS: Final = 8
PRODUCER: Final = "urn:deepnode:producer:benchmark"
KEY: Final = PrivateKey(sha256(b"benchmark producer").digest())
EMISSION: Final = 1_000 * 10**18

ARTIFACTS: Final = Path(__file__).parents[1] / "indexer" / "contracts" / "artifacts"

CONTRACTS: Final = {
    "DNToken": ("Token", 'symbol = "DN"\ndecimals = 18'),
    "USDCStandIn": ("Token", 'symbol = "USDC"\ndecimals = 6'),
    "Domains": ("Domains", ""),
    "Nodes": ("Nodes", ""),
    "Models": ("Models", ""),
    "RevenueRouter": ("RevenueRouter", ""),
    "Emission": ("Emission", 'asset = "DNToken"'),
    "Rewards": ("Rewards", ""),
}

TYPES: Final = {kind.__name__: name for name, kind in DATA_OF.items()}


@dataclass(frozen=True, slots=True)
class Epoch:
    """A hundred blocks: their logs from block ``first`` on, the last one's header, and what was told behind them."""

    first: int
    last: Header
    logs: pa.RecordBatch
    told: list[TaskEvent]

    @property
    def entries(self) -> int:
        """How many entries it is in the log."""
        return int(self.logs.num_rows) + len(self.told)


def write_manifest(folder: Path, contracts: Mapping[str, tuple[str, str]] = CONTRACTS) -> Path:
    """Write the deployment's manifest and its ABIs into a folder."""
    (folder / "abi").mkdir(parents=True, exist_ok=True)
    lines = ["format = 1", 'name = "benchmark"', "version = 1", f'foundation = "{to_hex(word("foundation")[:20])}"']
    lines += ["[chain]", f"id = {CHAIN_ID}", f'genesis_hash = "{to_hex(GENESIS)}"']
    for name, (kind, more) in contracts.items():
        abi = json.loads((ARTIFACTS / f"{name}.json").read_text("utf-8"))["abi"]
        (folder / "abi" / f"{name}.json").write_text(json.dumps(abi), "utf-8")
        lines += ["[[contracts]]", f'name = "{name}"', f'kind = "{kind}"', f"start_block = {FIRST_BLOCK}"]
        lines += [f'address = "{to_hex(address_of(name))}"', f'abi = "abi/{name}.json"', more]
    lines += ["[[producers]]", f'id = "{PRODUCER}"', f'key = "{KEY.public_key.to_address()}"']
    path = folder / "manifest.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def epochs(manifest: Manifest, entries: int) -> Iterator[Epoch]:
    """Make epochs until there are so many entries in all."""
    made = _Marketplace(manifest)
    while made.replay.position < entries:
        yield made.epoch()


class _Marketplace:
    """The history as far as it was made."""

    def __init__(self, manifest: Manifest) -> None:
        self.replay = Replay(manifest)
        self._manifest = manifest
        self._number = 0
        self._tasks = 0
        self._told = 0
        self._carries: dict[bytes, Sequence[int]] = {}
        self._accounts = np.random.default_rng(0).integers(0, 256, (ACCOUNTS, 20), np.uint8)

    def epoch(self) -> Epoch:
        """Make the next epoch."""
        first = FIRST_BLOCK + self._number * BLOCKS
        self._first, self._index, self._parts = first, 0, list[pa.RecordBatch]()
        if self._number == 0:
            self._found()
        self._open()
        self._sell()
        self._transfer()
        logs = pa.concat_batches(self._parts)
        told = [event for _ in range(TASKS) for event in self._work()]
        self._number += 1
        last = first + BLOCKS - 1
        return Epoch(first, Header(block_ref(last), block_ref(last - 1).hash), placed_behind(logs, 0), told)

    def _say(self, *said: tuple[str, str, Mapping[str, Any]]) -> None:
        """Let contracts say something in the epoch's first block."""
        block, rows = block_ref(self._first), list[Row]()
        for name, event, args in said:
            log = self._log(block, name, event, args)
            rows.append(row_of(self.replay.position + len(rows) + 1, CHAIN_ID, block, log))
        self._add(from_rows(rows))

    def _add(self, logs: pa.RecordBatch) -> None:
        fed = self.replay.feed(logs)
        assert not fed.refused, fed.refused[0]
        assert not fed.quarantined, fed.quarantined[0]
        self._parts.append(logs)

    def _log(self, block: BlockRef, name: str, event: str, args: Mapping[str, Any]) -> ChainLog:
        abi = abi_of(CONTRACTS[name][0], event)
        topics = [abi.topic0, *(encode([i.type], [args[i.name]]) for i in abi.inputs if i.indexed)]
        plain = [i for i in abi.inputs if not i.indexed]
        data = encode([i.type for i in plain], [args[i.name] for i in plain])
        self._index += 1
        transaction = word("transaction", self._first, self._index // 3)
        return ChainLog(transaction, self._index // 3, self._index, address_of(name), tuple(topics), data)

    def _found(self) -> None:
        """Create the domain, its route and weights, its models and nodes, and give everybody tokens."""
        domain, dn, usdc = word("domain"), address_of("DNToken"), address_of("USDCStandIn")
        self._say(("Domains", "DomainCreated", {"domain": domain, "owner": word("owner")[:20], "uri": "ipfs://d"}))
        weights = {"old": [0] * 5, "new_": [450_000, 100_000, 190_000, 50_000, 200_000], "fromEpoch": 1}
        self._say(("Domains", "EmissionWeightsSet", {"domain": domain, **weights}))
        for asset in (dn, usdc):
            route = {"old": [], "new_": [20_000, 10_000, 10_000, 50_000, 0, 0], "fromEpoch": 1}
            self._say(("Domains", "RevenueRouteSet", {"domain": domain, "asset": asset, **route}))
        for number in range(MODELS):
            rates = {"a": 200_000, "b": 100_000, "x": 300_000}
            who = {"model": word("model", number), "domain": domain, "creator": word("creator", number)[:20]}
            self._say(("Models", "ModelRegistered", {**who, **rates, "metaHash": word("meta", number)}))
        for number in range(NODES):
            role = VALIDATOR if number % 4 == 3 else MINER
            who = {"node": word("node", number), "operator": word("operator", number)[:20]}
            self._say(("Nodes", "Registered", {"domain": domain, **who, "role": role, "fee": 0, "feeBurned": 0}))
        minted = [
            (token, "Transfer", {"from": bytes(20), "to": account.tobytes(), "value": 10**30})
            for account in self._accounts
            for token in ("DNToken", "USDCStandIn")
        ]
        self._say(*minted)

    def _open(self) -> None:
        """Open the epoch, and distribute what was emitted for the one before."""
        opened = self._number + 1
        self._say(("Emission", "EpochOpened", {"epoch": opened, "startBlock": self._first}))
        if self._number == 0:
            return
        over, domain, asset, state = self._number, word("domain"), address_of("DNToken"), self.replay.state
        rules, set_ = rulesets.default(), weights_at(state, domain, over)
        assert set_ is not None
        scene = Scene(state, self._manifest, self.replay.position, CHAIN_ID, self._first, 0)
        earned = Earners(scene, rules, over, domain, asset).earned
        of_leg = Weights(**{leg: getattr(set_, leg) for leg in Weights.__struct_fields__})
        legs = pool_legs(rules.emission, EMISSION, of_leg, earned)
        parts = {part: getattr(legs, part) for part in _PARTS}
        paid = EMISSION - legs.undistributed
        self._say(
            ("DNToken", "Transfer", {"from": bytes(20), "to": address_of("Emission"), "value": EMISSION}),
            ("Emission", "EmissionMinted", {"epoch": over, "amount": EMISSION, "fromRevenue": 0}),
            ("Emission", "EpochAllocated", {"epoch": over, "domain": domain, "asset": asset, **parts}),
            ("DNToken", "Transfer", {"from": address_of("Emission"), "to": address_of("Rewards"), "value": paid}),
        )
        tree = claim_tree(state, asset, over)
        root = {"epoch": over, "root": tree.root, "asset": asset, "total": tree.total, "endBlock": self._first - 1}
        rest = {"uri": f"ipfs://{over}", "ruleset": rules.spec_hash, "activatesAt": 0}
        self._say(("Rewards", "RootSubmitted", {**root, **rest}))

    def _sell(self) -> None:
        """Have every task of the epoch paid for, and each payment split."""
        asset, domain, rules, state = address_of("USDCStandIn"), word("domain"), rulesets.default(), self.replay.state
        route = state.get(Route, domain, asset)
        assert route is not None
        for number in range(self._tasks, self._tasks + TASKS):
            gross, model = 1_000_000 + number % 977, word("model", number % MODELS)
            known = state.get(Model, model)
            assert known is not None
            rates = rates_of(rules, known, route)
            made = split_by(rules.revenue.rounding, gross, rates, self._carries.get(model, [0] * len(LEGS)))
            self._carries[model] = made.carries
            receipt, payer = word("receipt", number), self._accounts[number % ACCOUNTS].tobytes()
            paid = {"receipt": receipt, "model": model, "asset": asset}
            legs = dict(zip(LEGS, made.legs, strict=True))
            self._say(
                ("USDCStandIn", "Transfer", {"from": payer, "to": address_of("RevenueRouter"), "value": gross}),
                (
                    "RevenueRouter",
                    "RevenueReceived",
                    {**paid, "payer": payer, "amount": gross, "ref": word("task", number)},
                ),
                ("RevenueRouter", "RevenueSplit", {**paid, "gross": gross, **legs, "ruleset": rules.spec_hash}),
            )

    def _transfer(self) -> None:
        """Have accounts pay one another in the blocks behind the first, as columns."""
        chance, count = np.random.default_rng(self._number + 1), (BLOCKS - 1) * TRANSFERS
        numbers = np.repeat(np.arange(self._first + 1, self._first + BLOCKS), TRANSFERS)
        in_block = np.tile(np.arange(TRANSFERS, dtype=np.int32), BLOCKS - 1)
        hashes = np.frombuffer(
            b"".join(block_ref(n).hash for n in range(self._first + 1, self._first + BLOCKS)), np.uint8
        )
        tokens = np.frombuffer(address_of("DNToken") + address_of("USDCStandIn"), np.uint8).reshape(2, 20)
        who = np.zeros((ACCOUNTS, 32), np.uint8)
        who[:, 12:] = self._accounts
        amounts = np.zeros((count, 32), np.uint8)
        amounts[:, 24:] = chance.integers(1, 10**13, count).astype(">u8").view(np.uint8).reshape(-1, 8)
        transactions = chance.integers(0, 256, (count // 3 + 1, 32), np.uint8)
        topic = np.frombuffer(abi_of("Token", "Transfer").topic0, np.uint8)
        columns = {
            "position": pa.array(np.arange(count) + self.replay.position + 1),
            "kind": pa.array(np.full(count, int(Kind.CHAIN_LOG), np.uint8)),
            "chain_id": pa.array(np.full(count, CHAIN_ID)),
            "block_number": pa.array(numbers),
            "block_hash": octets(np.repeat(hashes.reshape(-1, 32), TRANSFERS, axis=0)),
            "block_time": pa.array(_time(0) + 2 * numbers),
            "transaction_hash": octets(transactions[np.arange(count) // 3]),
            "transaction_index": pa.array(in_block // 3),
            "log_index": pa.array(in_block),
            "address": octets(tokens[chance.integers(0, 2, count)]),
            "topic0": octets(np.tile(topic, (count, 1))),
            "topic1": octets(who[chance.integers(0, ACCOUNTS, count)]),
            "topic2": octets(who[chance.integers(0, ACCOUNTS, count)]),
            "data": pa.array([row.tobytes() for row in amounts], pa.binary()),
        }
        filled = [columns.get(field.name, pa.nulls(count, field.type)) for field in SCHEMA]
        self._add(pa.RecordBatch.from_arrays(filled, schema=SCHEMA))

    def _work(self) -> list[TaskEvent]:
        """Tell of a task, from its creation to the credit of both nodes."""
        number, domain, state = self._tasks, word("domain"), self.replay.state
        self._tasks += 1
        task, miners = to_hex(word("task", number)), [n for n in range(NODES) if n % 4 != 3]
        own = [word("node", miners[(number + slot) % len(miners)]) for slot in range(2)]
        asked = {
            "domain": to_hex(domain),
            "model": to_hex(word("model", number % MODELS)),
            "version": 1,
            "consumer_hash": to_hex(word("consumer", number % 997)),
            "price": str(1_000_000 + number % 977),
            "asset": to_hex(address_of("USDCStandIn")),
            "difficulty_ppm": 1_000_000,
            "input_hash": to_hex(word("input", number)),
        }
        said: list[tuple[str, dict[str, Any]]] = [("TaskCreated", {"task": task, **asked})]
        for slot, node in enumerate(own, 1):
            place = {"task": task, "attempt": 1, "slot": slot, "node": to_hex(node)}
            known = {"trust_ppm": score_of(state, MINER, node, domain), "collateral": "0"}
            said.append(("TaskAssigned", {**place, **known}))
        for slot, node in enumerate(own, 1):
            place = {"task": task, "attempt": 1, "slot": slot, "node": to_hex(node)}
            output = {"output_hash": to_hex(word("output", number, slot)), "latency_ms": 100 + number % 900}
            said.append(("OutputSubmitted", {**place, **output, "usage": {"input_tokens": 900, "output_tokens": 300}}))
        for slot in (1, 2):
            for validator in (3, 7, 11):
                judge = {"task": task, "attempt": 1, "slot": slot, "validator": to_hex(word("node", validator))}
                report = {"verdict": "correct", "score": 90, "report_hash": to_hex(word("report", number, validator))}
                said.append(("ValidationSubmitted", {**judge, **report}))
        said.append(("ConsensusReached", {"task": task, "attempt": 1, "verdict": "approved", "accepted": [1, 2]}))
        for slot, node in enumerate(own, 1):
            place = {"task": task, "attempt": 1, "slot": slot, "node": to_hex(node)}
            said.append(("VWUAssigned", {**place, "vwu": 1_000 + number % 50, "difficulty_ppm": 1_000_000}))
        told = [self._tell(kind, data) for kind, data in said]
        block, position = block_ref(self._first + BLOCKS - 1), self.replay.position + 1
        fed = self.replay.feed(from_rows([row_of(position + n, CHAIN_ID, block, each) for n, each in enumerate(told)]))
        assert not fed.refused, fed.refused[0]
        return told

    def _tell(self, kind: str, data: Mapping[str, Any]) -> TaskEvent:
        self._told += 1
        name = f"benchmark-{self._told}"
        event = {
            "specversion": "1.0",
            "type": TYPES[kind],
            "source": PRODUCER,
            "id": name,
            "time": "2026-01-31T12:00:00Z",
            "datacontenttype": "application/json",
            "sequence": str(self._told),
            "data": data,
        }
        payload = msgspec.json.encode(event)
        made = KEY.sign_msg_hash(signed_hash(Scheme.EIP191, payload, CHAIN_ID)).to_bytes()
        signature = made[:64] + bytes([made[64] + 27])
        return TaskEvent(PRODUCER, name, self._told, TYPES[kind], payload, signature)


_PARTS: Final = ("miners", "stakers", "validators", "owner", "models", "foundation", "undistributed")


def abi_of(kind: str, event: str) -> EventAbi:
    """Return what an event of a kind of contract is made of."""
    return next(each for each in KINDS[kind] if each.name == event)


def address_of(contract: str) -> bytes:
    """Return the address of a contract (20 bytes)."""
    return word("contract", contract)[:20]


def word(*parts: object) -> bytes:
    """Return 32 bytes that stand for these parts."""
    return sha256(repr(parts).encode()).digest()


def block_ref(number: int) -> BlockRef:
    """Return the block of a number."""
    return BlockRef(number, word("block", number), _time(number))


def _time(number: int) -> int:
    return 1_700_000_000 + 2 * number


def octets(rows: "np.typing.NDArray[np.uint8]") -> pa.Array:
    """Make a column of fixed-width bytes, a row each."""
    width = rows.shape[1]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(rows), [None, pa.py_buffer(rows.tobytes())])

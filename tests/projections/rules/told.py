"""What tests of rules are told with: a deployment of every kind of contract on paper, its events, and a story of them.

There is one contract of each kind, named like its kind; the tokens are ``DN`` and ``USDC``. ABIs are those of the
vocabulary, so no Solidity is needed. Where an argument is an id or an address, a story gives a short text
(``node="n1"``), and ``word("n1")`` or ``address("anna")`` is what the books hold.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from eth_abi.abi import encode
from hypothesis import strategies as st
from typing_extensions import override

from deepnode_ledger.abi import EventAbi
from deepnode_ledger.contract import Contract
from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.posting import AMOUNT_LIMIT, AmountTooLarge, Entry, Posting
from deepnode_ledger.vocabulary import KINDS
from deepnode_projections.registers.record import Field, Record, Value, fields_of, values_of
from deepnode_projections.registers.state import MemoryState, State
from deepnode_projections.rules.epochs import CurrentEpoch, Epoch
from deepnode_projections.rules.scene import NoEffect, Rules, Scene
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, GENESIS

R = TypeVar("R", bound=Record)

START_TIME: Final = 1_700_000_000
"""The time of the story's first block, in seconds since 1970; blocks are two seconds apart."""

BLOCK_HASH: Final = b"\xb1" * 32
"""The hash of each of a story's blocks."""

ASSETS: Final = {"Funding": "USDC"}
"""The token that a kind of contract holds, where it is not DN."""


def word(text: str) -> bytes:
    """The id (32 bytes) that a text stands for: its own bytes, then zeros."""
    return text.encode().ljust(32, b"\0")


def address(text: str) -> bytes:
    """The address (20 bytes) that a text stands for: its own bytes, then zeros."""
    return text.encode().ljust(20, b"\0")


def _contract(number: int, name: str, kind: str) -> Contract:
    events = {(event.topic0, event.topics_count): event for event in KINDS[kind]}
    own = bytes([0xC0, number]) * 10
    if kind == "Token":
        return Contract(name, kind, own, FIRST_BLOCK, events, symbol=name, decimals={"DN": 18, "USDC": 6}[name])
    return Contract(name, kind, own, FIRST_BLOCK, events, asset=ASSETS.get(kind, "DN"))


def _deployment() -> Manifest:
    names = [("DN", "Token"), ("USDC", "Token"), *((kind, kind) for kind in KINDS if kind not in ("Token", "Other"))]
    contracts = [_contract(number, name, kind) for number, (name, kind) in enumerate(names)]
    return Manifest("told", 1, CHAIN_ID, GENESIS, {each.address: each for each in contracts}, {})


MANIFEST: Final = _deployment()
DN: Final = MANIFEST.by_name("DN").address
USDC: Final = MANIFEST.by_name("USDC").address


def told(kind: str, event: str, /, **args: Any) -> ChainEvent:
    """An event as it comes out of the log: encoded by eth-abi, decoded by ours.

    ``kind`` is a kind of contract or a token's name. ``from_`` stands for the argument ``from``. Arguments that are not
    said are zero or empty, so that a story tells no more than it is about.
    """
    contract = MANIFEST.by_name("DN" if kind == "Token" else kind)
    abi = _abi(contract, event)
    said = {_named(abi, name): value for name, value in args.items()}
    values = {i.name: _native(i.type, said.get(i.name, _zero(i.type))) for i in abi.inputs}
    topics = [encode([i.type], [values[i.name]]) for i in abi.inputs if i.indexed]
    plain = [i for i in abi.inputs if not i.indexed]
    data = encode([i.type for i in plain], [values[i.name] for i in plain])
    return ChainEvent(contract, event, abi.decode((abi.topic0, *topics), data))


def _abi(contract: Contract, event: str) -> EventAbi:
    return next(each for each in contract.events.values() if each.name == event)


def _named(abi: EventAbi, name: str) -> str:
    names = {each.name for each in abi.inputs}
    found = name if name in names else name.removesuffix("_")
    assert found in names, f"{abi.signature} has no argument {name}"
    return found


def _native(abi_type: str, value: Any) -> Any:
    if isinstance(value, str) and abi_type != "string":
        return word(value) if abi_type == "bytes32" else address(value)
    return value


def _zero(abi_type: str) -> Any:
    if abi_type.endswith("[]"):
        return []
    if abi_type.endswith("]"):
        element, _, size = abi_type.rstrip("]").rpartition("[")
        return [_zero(element)] * int(size)
    return {"address": bytes(20), "bytes32": bytes(32), "string": "", "bool": False}.get(abi_type, 0)


def scene(
    state: State, position: int = 1, *, epoch: int | None = None, block_time: int | None = None, block_number: int = 0
) -> Scene:
    """Where an event stands; with ``epoch``, that epoch is opened in the state first.

    The block is the one of the story with the position's number, unless it is told.
    """
    if epoch is not None:
        open_epoch(state, epoch, position)
    number = block_number or FIRST_BLOCK + position
    time = START_TIME + 2 * position if block_time is None else block_time
    return Scene(state, MANIFEST, position, CHAIN_ID, number, time, block_hash=BLOCK_HASH)


def open_epoch(state: State, epoch: int, position: int = 1) -> None:
    """Let an epoch be the current one, whichever was before it."""
    state.put(Epoch(epoch, FIRST_BLOCK + position, START_TIME + 2 * position, position))
    state.put(CurrentEpoch("emission", epoch))


class Strict(MemoryState):
    """A state in memory that refuses what the books' tables could not hold, as PostgreSQL would."""

    @override
    def get(self, kind: type[R], *key: Value) -> R | None:
        for field, value in zip(fields_of(kind), key, strict=False):
            _check(kind, field, value)
        return super().get(kind, *key)

    @override
    def put(self, record: Record) -> None:
        for field, value in zip(fields_of(type(record)), values_of(record), strict=True):
            _check(type(record), field, value)
        super().put(record)


def _check(kind: type[Record], field: Field, value: Value) -> None:
    told = (kind.__name__, field.name, value)
    if value is None:
        assert field.may_be_unknown, told
        return
    assert type(value) is field.type, told
    if isinstance(value, int):
        assert abs(value) < (AMOUNT_LIMIT if field.is_amount else 2**63), told
    if isinstance(value, str):
        assert "\0" not in value, told


class Story:
    """Rules applied to one event after another, each with all of its effect or with none.

    ``refusals`` holds the reasons of events without effect by position, ``postings`` what the others moved.
    """

    def __init__(self, *tables: Rules) -> None:
        self.state = Strict()
        self.tables = tables
        self.position = 0
        self.refusals: dict[int, str] = {}
        self.postings: list[tuple[int, Posting]] = []

    def tell(self, *events: ChainEvent, time: int | None = None) -> "Story":
        """Apply the rules to events, each in a block of its own, or all at ``time`` (seconds since 1970)."""
        for event in events:
            self.does(partial(self._moved, event), time=time)
        return self

    def does(self, step: Callable[[Scene], Sequence[Posting] | None], *, time: int | None = None) -> "Story":
        """Take one step of the story that is told by a function, such as a rule for a statement of a producer."""
        self.position += 1
        try:
            with self.state.attempt(self.position):
                moved = step(scene(self.state, self.position, block_time=time)) or ()
        except (NoEffect, AmountTooLarge) as refusal:
            self.refusals[self.position] = str(refusal)
            return self
        self.postings += [(self.position, posting) for posting in Entry(self.position, "", "", tuple(moved)).postings]
        return self

    def opens(self, epoch: int) -> "Story":
        """Let an epoch be the current one from here on; epochs between may be left out."""
        open_epoch(self.state, epoch, self.position)
        return self

    def _moved(self, event: ChainEvent, at: Scene) -> list[Posting]:
        rules = [table[key] for table in self.tables if (key := (event.contract.kind, event.name)) in table]
        assert rules, f"no rule for {event.contract.kind} {event.name} in this story"
        return [posting for rule in rules for posting in rule(event, at)]

    @property
    def reasons(self) -> list[str]:
        """Why events had no effect, in their order."""
        return list(self.refusals.values())

    def balances(self) -> dict[tuple[str, bytes], int]:
        """What is in each account of each asset, zeros left out."""
        found: dict[tuple[str, bytes], int] = {}
        for _, posting in self.postings:
            key = (posting.account.name, posting.asset)
            found[key] = found.get(key, 0) + posting.amount
        return {key: amount for key, amount in found.items() if amount}

    def books(self) -> str:
        """The balances as text: one line an account, sorted, ids as the texts that they stand for."""
        lines = []
        for (name, asset), amount in sorted(self.balances().items()):
            parts = (_text(part) if part.startswith("0x") else part for part in name.split(":"))
            lines.append(f"{':'.join(parts)} {amount} {'DN' if asset == DN else 'USDC'}")
        return "\n".join(lines)


def _text(digits: str) -> str:
    return bytes.fromhex(digits[2:]).rstrip(b"\0").decode()


FEW: Final = ("one", "two", "three")
"""The names of which garbage is made: so few that its events meet."""


def anything(kinds: Sequence[str], *, also: Mapping[str, Sequence[Any]] | None = None) -> st.SearchStrategy[ChainEvent]:
    """Any event of these kinds of contract, sensible or not.

    Args:
        kinds: kinds of contract, or tokens' names.
        also: by an argument's type, values of which one may be taken as well.
    """
    contracts = [MANIFEST.by_name(kind) for kind in kinds]
    return st.one_of([_any_of(contract, abi, also or {}) for contract in contracts for abi in contract.events.values()])


def _any_of(contract: Contract, abi: EventAbi, also: Mapping[str, Sequence[Any]]) -> st.SearchStrategy[ChainEvent]:
    values = {
        i.name: _any_value(i.type) | st.sampled_from([_native(i.type, value) for value in also[i.type]])
        if i.type in also
        else _any_value(i.type)
        for i in abi.inputs
    }
    return st.fixed_dictionaries(values).map(lambda args: ChainEvent(contract, abi.name, args))


def _any_value(abi_type: str) -> st.SearchStrategy[Any]:
    if abi_type.endswith("]"):
        element, _, size = abi_type.rstrip("]").rpartition("[")
        bounds = (int(size), int(size)) if size else (0, 8)
        return st.lists(_any_value(element), min_size=bounds[0], max_size=bounds[1]).map(tuple)
    if abi_type.startswith("uint"):
        limit = 1 << int(abi_type.removeprefix("uint"))
        edges = (limit - 1, limit // 2, 10_000, 1_000_000, AMOUNT_LIMIT - 1, AMOUNT_LIMIT)
        return st.integers(0, 5) | st.sampled_from([edge for edge in edges if edge < limit])
    named = {"bytes32": word, "address": address}.get(abi_type)
    if named is not None:
        return st.sampled_from([named(text) for text in FEW] + [named("")])
    return {"bool": st.booleans(), "string": st.text(max_size=5)}[abi_type]

"""The deployment that the replay's history is of: its sizes, who is in it, and how its contracts write logs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from benchmarks import marketplace
from benchmarks.marketplace import abi_of, address_of, word
from eth_abi.abi import encode

from deepnode_ledger.hexadecimal import to_hex

CONTRACTS: Final[Mapping[str, tuple[str, str]]] = {
    **marketplace.CONTRACTS,
    "Staking": ("Staking", 'asset = "DNToken"'),
    "Collateral": ("Collateral", 'asset = "DNToken"'),
    "Parameters": ("Parameters", ""),
}

DRAWN: Final = 65_536
"""Numbers that are drawn by chance at a time."""

LogRow = tuple[bytes, bytes, bytes | None, bytes | None, bytes | None, bytes]
"""A log: its contract's address, four topics and the data."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the history is, and how many take part in it."""

    entries: int
    wallets: int = 200_000
    domains: int = 4
    models: int = 60
    miners: int = 400
    validators: int = 60
    epochs: int = 10
    block_tasks: int = 4
    """Tasks that begin with a block; of each there are some fourteen events."""

    changes: int = 40
    """Rare changes in an epoch: stakes, commissions, parameters, versions."""


SMALL: Final = Sizes(6_000, wallets=400, domains=2, models=6, miners=16, validators=8, block_tasks=2, changes=8)
"""For tests: all that there is in a large one."""


class Crowd:
    """The domains, and who works in each: names as 32 bytes and as texts of a payload."""

    def __init__(self, sizes: Sizes) -> None:
        self.domains = [word("domain", n) for n in range(sizes.domains)]
        self.models = [word("model", n) for n in range(sizes.models)]
        self.nodes = [word("node", n) for n in range(sizes.miners + sizes.validators)]
        self.texts = {each: to_hex(each) for each in (*self.domains, *self.models, *self.nodes)}
        count = sizes.domains
        self.models_of = [self.models[n::count] for n in range(count)]
        self.miners_of = [self.nodes[: sizes.miners][n::count] for n in range(count)]
        self.validators_of = [self.nodes[sizes.miners :][n::count] for n in range(count)]
        octets = np.random.default_rng(0).integers(0, 256, (sizes.wallets, 20), np.uint8).tobytes()
        self.wallets = [octets[n : n + 20] for n in range(0, len(octets), 20)]


def by_zipf(count: int, seed: int) -> Iterator[int]:
    """Draw numbers below ``count`` for ever, the first of them the most often, as Zipf's law has it."""
    weights = 1 / np.arange(1, count + 1)
    ends, chance = np.cumsum(weights) / weights.sum(), np.random.default_rng(seed)
    while True:
        yield from np.minimum(np.searchsorted(ends, chance.random(DRAWN)), count - 1).tolist()


def log_of(contract: str, event: str, args: Mapping[str, Any]) -> LogRow:
    """Write a log as a contract of the deployment does."""
    abi = abi_of(CONTRACTS[contract][0], event)
    indexed = [encode([i.type], [args[i.name]]) for i in abi.inputs if i.indexed]
    plain = [i for i in abi.inputs if not i.indexed]
    data = encode([i.type for i in plain], [args[i.name] for i in plain])
    topics: list[bytes | None] = [*indexed, None, None, None]
    return address_of(contract), abi.topic0, topics[0], topics[1], topics[2], data


class Payments:
    """The logs of which there are many, written without a look at their ABI."""

    def __init__(self) -> None:
        self.tokens = address_of("DNToken"), address_of("USDCStandIn")
        self.router = _padded(address_of("RevenueRouter"))
        self._router = address_of("RevenueRouter")
        self._transfer = abi_of("Token", "Transfer").topic0
        self._received = abi_of("RevenueRouter", "RevenueReceived").topic0
        self._split = abi_of("RevenueRouter", "RevenueSplit").topic0

    def transfer(self, token: bytes, giver: bytes, taker: bytes, value: int) -> LogRow:
        """Write a transfer; addresses are padded to 32 bytes."""
        return token, self._transfer, giver, taker, None, value.to_bytes(32)

    def received(self, receipt: bytes, model: bytes, payer: bytes, asset: bytes, amount: int, ref: bytes) -> LogRow:
        """Write that the router has received a payment; the payer is padded to 32 bytes."""
        data = bytes(12) + asset + amount.to_bytes(32) + ref
        return self._router, self._received, receipt, model, payer, data

    def split(
        self, receipt: bytes, model: bytes, asset: bytes, gross: int, legs: Sequence[int], ruleset: bytes
    ) -> LogRow:
        """Write how the router has split a payment."""
        amounts = b"".join([each.to_bytes(32) for each in (gross, *legs)])
        return self._router, self._split, receipt, model, None, bytes(12) + asset + amounts + ruleset


def _padded(address: bytes) -> bytes:
    return bytes(12) + address

"""Contracts' own figures: pockets against what the contracts themselves count, where they can be asked.

A deployment's contracts need not have these views: what the manifest's ABI does not declare is not asked, and said so.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from deepnode_cli.reconciling.figures import Figure, question
from deepnode_cli.reconciling.reading import Reading
from deepnode_ledger.account import UNATTRIBUTED
from deepnode_ledger.vocabulary import LEGS
from deepnode_projections.holdings_at import Pocket
from deepnode_projections.rules.emission import RootInForce
from deepnode_projections.rules.staking import TARGETS

_NETWORK: Final = bytes(32)


class _Asker:
    """Makes the figures of one contract, as far as its ABI has the views."""

    def __init__(self, reading: Reading, name: str, address: bytes) -> None:
        self.reading = reading
        self.pockets = [each for each in reading.pockets if each.contract == name and each.asset in reading.tokens]
        self._name = name
        self._address = address
        self._views = reading.declared_of(name).views

    def of(self, pocket: str) -> list[Pocket]:
        """The contract's pockets of a name, whatever they are kept for."""
        return [each for each in self.pockets if each.pocket == pocket]

    def has(self, signature: str) -> bool:
        """Whether a view can be asked; if not, that is told."""
        if signature not in self._views:
            told = f"{self._name}.{signature}: the manifest's ABI has no such view"
            if told not in self.reading.findings.not_asked:
                self.reading.findings.not_asked.append(told)
        return signature in self._views

    def figure(
        self,
        books: int,
        token: bytes,
        signature: str,
        *calls: tuple[bytes | int, ...],
        where: str = "",
        output: str = "",
    ) -> Iterator[Figure]:
        """Yield one figure, whose answers to all calls are summed; none if the view is not there."""
        if self.has(signature):
            asked = tuple(question(self._address, self._views[signature], *each, output=output) for each in calls)
            name = f"{self._name}.{signature.partition('(')[0]}"
            symbol = self.reading.tokens[token]
            yield Figure("views", f"{name} {where}".rstrip(), symbol, books, asked)

    def each(self, pocket: str, signature: str, output: str = "") -> Iterator[Figure]:
        """Yield a figure for each pocket of a name, asked for by what it is kept for."""
        for p in self.of(pocket):
            yield from self.figure(p.amount, p.asset, signature, (p.key,), where=p.account, output=output)

    def total(self, pocket: str, signature: str) -> Iterator[Figure]:
        """Yield the sum of all pockets of a name for each token that is in them, asked for without a word."""
        for token in sorted({p.asset for p in self.of(pocket)}):
            yield from self.figure(self._sum(pocket, token), token, signature, ())

    def by_token(self, pocket: str, signature: str) -> Iterator[Figure]:
        """Yield the sum of all pockets of a name for every token, asked for by the token."""
        for token in self.reading.tokens:
            yield from self.figure(self._sum(pocket, token), token, signature, (token,))

    def _sum(self, pocket: str, token: bytes) -> int:
        return sum(p.amount for p in self.of(pocket) if p.asset == token)


def _collateral(asker: _Asker) -> Iterator[Figure]:
    yield from asker.each("Free", "freeOf(bytes32)")
    yield from asker.each("Frozen", "caseOf(bytes32)", "frozen")


def _router(asker: _Asker) -> Iterator[Figure]:
    yield from asker.by_token("Escrow", "escrowOf(address)")
    yield from asker.by_token("Suspense", "suspenseOf(address)")
    for number, leg in enumerate(LEGS):
        for p in asker.of(leg[0].upper() + leg[1:]):
            whom = p.key or _NETWORK
            yield from asker.figure(
                p.amount, p.asset, "pocketOf(uint8,bytes32,address)", (number, whom, p.asset), where=p.account
            )


def _staking(asker: _Asker) -> Iterator[Figure]:
    for p in asker.of("Staked"):
        # A pocket is told by its target alone; an id is of one type only, the others have nothing upon it.
        calls = [(target_type, p.key) for target_type in TARGETS]
        yield from asker.figure(p.amount, p.asset, "stakeUpon(uint8,bytes32)", *calls, where=p.account)
    yield from asker.total("Staked", "totalStaked()")
    yield from asker.total("Unbonding", "totalUnbonding()")


def _emission(asker: _Asker) -> Iterator[Figure]:
    yield from asker.by_token("Undistributed", "undistributedOf(address)")
    yield from asker.by_token(UNATTRIBUTED, "available(address)")


def _rewards(asker: _Asker) -> Iterator[Figure]:
    for token in asker.reading.tokens:
        root = asker.reading.past.get(RootInForce, token)
        claimed = 0 if root is None else root.claimed
        yield from asker.figure(claimed, token, "claimedTotalOf(address)", (token,))


def _funding(asker: _Asker) -> Iterator[Figure]:
    yield from asker.each("Round", "idleOf(bytes32)")


def _governance(asker: _Asker) -> Iterator[Figure]:
    yield from asker.total("Deposit", "depositsHeld()")


_KINDS: Final[Mapping[str, Callable[[_Asker], Iterator[Figure]]]] = MappingProxyType(
    {
        "Collateral": _collateral,
        "RevenueRouter": _router,
        "Staking": _staking,
        "Emission": _emission,
        "Rewards": _rewards,
        "Funding": _funding,
        "Governance": _governance,
    }
)


def own_figures(reading: Reading) -> Iterator[Figure]:
    """Yield the figures that contracts count themselves, contract by contract."""
    for kind, figures in _KINDS.items():
        for name, address in reading.contracts_of(kind).items():
            yield from figures(_Asker(reading, name, address))

"""Own accounts: which accounts of the books are an address's, and what its part is in those that it shares.

Its wallet; the collateral, free or frozen by a case, of the nodes that it operates; what it has unbonding; the deposits
of its proposals. A stake is kept in a pocket of its target and a backer's money in one of its round, together with
those of others. What is somebody's of these the records know, and their history is that part's account.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from deepnode_graphql.reading import Reading, driver_connection
from deepnode_ledger.account import Account, wallet
from deepnode_ledger.contract import Contract
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.roster import Roster
from deepnode_projections.holdings_at import of_balances
from deepnode_projections.registers.at import StateAt
from deepnode_projections.rules.collateral import CollateralCase
from deepnode_projections.rules.funding import BackerShare
from deepnode_projections.rules.governance import Proposal
from deepnode_projections.rules.pockets import pocket_of
from deepnode_projections.rules.registry import Node
from deepnode_projections.rules.staking import TARGETS, Stake

_HELD: Final = of_balances("a.account_id, s.asset_id, p.balance", "AND a.account_id = ANY(%(accounts)s)")


@dataclass(frozen=True, slots=True)
class Part:
    """What is somebody's of a pocket that is shared, as an account of its own.

    ``pocket`` is how the pocket's name ends. ``asset`` is the asset's id. ``changes`` are what came in or went out
    (base units, signed), each with the position of its entry.
    """

    account: str
    pocket: str
    asset: int
    changes: tuple[tuple[int, int], ...]

    def held(self, position: int) -> int:
        """Return what it was at a position."""
        return sum(change for at, change in self.changes if at <= position)


@dataclass(frozen=True, slots=True)
class OwnAccounts:
    """The accounts of an address: those of the books by their id, and its parts in shared ones."""

    names: dict[int, str]
    parts: tuple[Part, ...]


def own_accounts(reading: Reading, address: bytes, position: int) -> OwnAccounts:
    """Find an address's accounts as the books know them at a position.

    Raises:
        BadInput: the address is a contract of the deployment, whose pockets are other people's.
    """
    contract = reading.contracts.get(address)
    if contract is not None:
        raise BadInput(f"{to_hex(address)} is the contract {contract.name}: a statement is of whom money belongs to")
    state = StateAt(driver_connection(reading.database), position)
    known = ids_of(reading, (each.name for each in _own(reading, state, address)), position)
    return OwnAccounts(known, (*_stakes(reading, state, address), *_backing(reading, state, address)))


def ids_of(reading: Reading, names: Iterable[str], position: int) -> dict[int, str]:
    """Return those of the accounts that had a posting by a position, by their ids."""
    rows = driver_connection(reading.database).execute(
        "SELECT account_id, name FROM account WHERE name = ANY(%s) AND first_position <= %s ORDER BY name",
        (sorted(names), position),
    )
    return dict(rows.fetchall())


def held_by(reading: Reading, accounts: Mapping[int, str], position: int) -> dict[tuple[str, int], int]:
    """Return what accounts held of each asset (by its id) at a position, if they ever had any."""
    parameters = {"at": position, "accounts": list(accounts)}
    rows = driver_connection(reading.database).execute(_HELD.encode(), parameters)
    return {(accounts[account], asset): amount for account, asset, amount in rows}


def _own(reading: Reading, state: StateAt, address: bytes) -> Iterable[Account]:
    yield wallet(address)
    nodes = [node.node for _, node in state.found(Node, "operator", address)]
    for contract in contracts_of(reading):
        if contract.kind == "Collateral":
            yield from (pocket_of(contract, "Free", node) for node in nodes)
        elif contract.kind == "Staking":
            yield pocket_of(contract, "Unbonding", address)
    for node in nodes:
        for _, case in state.found(CollateralCase, "node", node):
            contract_of_case = reading.contracts.get(case.contract)
            if contract_of_case is not None:
                yield pocket_of(contract_of_case, "Frozen", case.case)
    for proposal in state.every(Proposal):
        if proposal.proposer == address:
            governance = reading.contracts.get(proposal.contract)
            if governance is not None:
                yield pocket_of(governance, "Deposit", proposal.proposal)


def contracts_of(reading: Reading) -> list[Contract]:
    """Return every contract that is known, factories' children included."""
    known = list(reading.manifest.contracts.values())
    if isinstance(reading.contracts, Roster):
        known += [child.contract for child in reading.contracts.children]
    return known


def _stakes(reading: Reading, state: StateAt, address: bytes) -> Iterable[Part]:
    for _, stake in state.found(Stake, "staker", address):
        history = state.changes(Stake, stake.target_type, stake.target, address)
        changes = _steps([(position, each.amount) for position, each in history])
        if changes:
            pocket = f":Staked:{to_hex(stake.target)}"
            account = f"Stake:{TARGETS[stake.target_type]}:{to_hex(stake.target)}"
            yield Part(account, pocket, _asset_moved(reading, changes[0][0]), changes)


def _backing(reading: Reading, state: StateAt, address: bytes) -> Iterable[Part]:
    for _, share in state.found(BackerShare, "backer", address):
        history = state.changes(BackerShare, share.round, share.contract, address)
        changes = _steps([(position, each.contributed) for position, each in history])
        contract = reading.contracts.get(share.contract)
        if changes and contract is not None:
            asset = next(each.asset_id for each in reading.assets.values() if each.address == _token(reading, contract))
            yield Part(
                f"Backing:{contract.name}:{to_hex(share.round)}", f":Round:{to_hex(share.round)}", asset, changes
            )


def _steps(amounts: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Turn what was held from each position on into what changed there."""
    held, steps = 0, []
    for position, amount in amounts:
        if amount != held:
            steps.append((position, amount - held))
        held = amount
    return tuple(steps)


def _token(reading: Reading, contract: Contract) -> bytes:
    return next(each.address for each in reading.manifest.tokens if each.name == contract.asset)


def _asset_moved(reading: Reading, position: int) -> int:
    row = (
        driver_connection(reading.database)
        .execute("SELECT asset_id FROM posting WHERE position = %s LIMIT 1", (position,))
        .fetchone()
    )
    assert row is not None, f"the entry at {position} changed a stake and moved nothing"
    return int(row[0])

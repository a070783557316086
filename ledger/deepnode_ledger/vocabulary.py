"""The on-chain events that the books understand, by kind of contract.

A manifest names each contract's kind; the ABI that it brings must declare these events exactly so. A contract may emit
more: those logs are kept all the same and wait for a meaning. Units: amounts in base units of the asset.
"""

from typing import Final

from deepnode_ledger.abi import EventAbi, Input

LEGS: Final = (
    "creator",
    "backers",
    "fees",
    "buyback",
    "foundation",
    "domain",
    "variableBurn",
    "yield",
    "emission",
)
"""The legs of a revenue split, in the router's order; a leg's index is its number in ``Released``."""


def _event(name: str, declaration: str) -> EventAbi:
    """Read ``type name, type *name``; a star marks an indexed argument."""
    inputs = []
    for argument in declaration.split(", "):
        abi_type, name_of_argument = argument.split(" ")
        inputs.append(Input(name_of_argument.removeprefix("*"), abi_type, name_of_argument.startswith("*")))
    return EventAbi(name, tuple(inputs))


KINDS: Final[dict[str, tuple[EventAbi, ...]]] = {
    # A burn is a transfer to the zero address, a mint one from it (ERC-20).
    "Token": (_event("Transfer", "address *from, address *to, uint256 value"),),
    "Domains": (),
    "Nodes": (),
    "Collateral": (
        _event("Deposited", "bytes32 *domain, bytes32 *node, address *payer, uint256 amount"),
        _event("Withdrawn", "bytes32 *domain, bytes32 *node, address *to, uint256 amount"),
        _event(
            "Flagged",
            "bytes32 *caseId, bytes32 *node, bytes32 *taskId, address reporter, uint8 severity, bytes32 evidenceHash",
        ),
        _event("ReviewOpened", "bytes32 *caseId, uint256 frozen"),
        _event(
            "ReviewDecided",
            "bytes32 *caseId, address *reviewer, uint8 verdict, uint256 burned, uint256 compensated, uint256 returned,"
            " uint256 retained, bytes32 reasonHash, string uri",
        ),
    ),
    "Models": (
        _event(
            "ModelRegistered",
            "bytes32 *model, bytes32 *domain, address *creator, uint32 a, uint32 b, uint32 x, bytes32 metaHash",
        ),
    ),
    "RevenueRouter": (
        _event(
            "RevenueReceived",
            "bytes32 *receipt, bytes32 *model, address *payer, address asset, uint256 amount, bytes32 ref",
        ),
        _event("RevenueRefunded", "bytes32 *receipt, address *to, uint256 amount"),
        _event(
            "RevenueSplit",
            "bytes32 *receipt, bytes32 *model, address asset, uint256 gross, "
            + "".join(f"uint256 {leg}, " for leg in LEGS)
            + "bytes32 ruleset",
        ),
        _event("Released", "uint8 *leg, bytes32 *beneficiary, address *to, address asset, uint256 amount"),
    ),
    # Kept, decoded and shown; the books have no rule for it.
    "Other": (),
}
"""What each kind of contract must be able to say; argument names are part of it."""


def describe(event: EventAbi) -> str:
    """Write an event as Solidity does, for a message."""
    arguments = ", ".join(f"{i.type}{' indexed' if i.indexed else ''} {i.name}" for i in event.inputs)
    return f"{event.name}({arguments})"

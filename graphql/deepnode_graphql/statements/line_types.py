"""Line types: what a movement was, by the event that says what it was for and by the two ends of it."""

from collections.abc import Sequence
from typing import Final

from deepnode_graphql.statements.statement import LineType
from deepnode_ledger.account import BURN, MINT

TRANSFER: Final = "Transfer"

_BY_EVENT: Final = {
    "Deposited": LineType.COLLATERAL_IN,
    "Withdrawn": LineType.COLLATERAL_OUT,
    "ReviewOpened": LineType.FREEZE,
    "Staked": LineType.STAKE,
    "UnstakeRequested": LineType.UNBOND,
    "Unstaked": LineType.UNSTAKE,
    "Redelegated": LineType.RESTAKE,
    "Backed": LineType.BACKING,
    "Refunded": LineType.REFUND,
    "FundsReleased": LineType.FUNDING,
    "BackerShareTransferred": LineType.SHARES,
    "RevenueReceived": LineType.PAYMENT,
    "RevenueRefunded": LineType.REFUND,
    "Released": LineType.REVENUE,
    "Claimed": LineType.REWARD,
    "ProposalCreated": LineType.DEPOSIT,
    "DepositReturned": LineType.DEPOSIT,
    "DepositForfeited": LineType.FEE,
    "Registered": LineType.FEE,
}


def event_of(events: Sequence[str]) -> str:
    """Return the event that says what a movement was for: the last that is not a bare transfer of a token."""
    return next((each for each in reversed(events) if each != TRANSFER), TRANSFER)


def type_of(event: str, source: str, target: str, *, incoming: bool, own: bool) -> LineType:
    """Return what a line is.

    Args:
        event: what the movement was for.
        source: the account that the money left, by its name.
        target: the account that it came into.
        incoming: whether the line is that of the target.
        own: whether both accounts are of the statement.
    """
    if event == "ReviewDecided":
        return _of_verdict(source, target, incoming=incoming, own=own)
    if event == TRANSFER:
        if source == MINT.name:
            return LineType.MINT
        if target == BURN.name:
            return LineType.BURN
        return LineType.TRANSFER_IN if incoming else LineType.TRANSFER_OUT
    return _BY_EVENT.get(event, LineType.OTHER)


def _of_verdict(source: str, target: str, *, incoming: bool, own: bool) -> LineType:
    if own:
        # What is kept as collateral is free again; what is returned goes to the operator's wallet.
        return LineType.COLLATERAL_OUT if target.startswith("Wallet:") else LineType.FREEZE
    if not incoming:
        return LineType.SLASHING
    return LineType.COMPENSATION if target.startswith("Wallet:") else LineType.OTHER

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
    "Parameters": (
        _event(
            "ParamSet", "bytes32 *scope, bytes32 *key, uint256 old, uint256 new_, uint64 effectiveAt, bytes32 *proposal"
        ),
        _event("RulesetActivated", "uint32 *version, bytes32 specHash, uint64 fromEpoch"),
    ),
    "Domains": (
        _event("DomainCreated", "bytes32 *domain, address *owner, string uri"),
        _event("DomainOwnerChanged", "bytes32 *domain, address *old, address *new_"),
        # fees, buyback, foundation, domain, variableBurn, yield.
        _event("RevenueRouteSet", "bytes32 *domain, address *asset, uint32[] old, uint32[] new_, uint64 fromEpoch"),
        # miners, stakers, validators, owner, models.
        _event("EmissionWeightsSet", "bytes32 *domain, uint32[5] old, uint32[5] new_, uint64 fromEpoch"),
    ),
    "Nodes": (
        _event(
            "Registered",
            "bytes32 *domain, bytes32 *node, address *operator, uint8 role, uint256 fee, uint256 feeBurned",
        ),
        _event("Deregistered", "bytes32 *domain, bytes32 *node, uint8 reason"),
    ),
    "Collateral": (
        _event("Deposited", "bytes32 *domain, bytes32 *node, address *payer, uint256 amount"),
        _event("WithdrawalRequested", "bytes32 *domain, bytes32 *node, uint256 amount, uint64 unlockAt"),
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
        _event("Appealed", "bytes32 *caseId, address *by, bytes32 hash"),
        _event("ReviewReversed", "bytes32 *caseId, bytes32 *newCaseId"),
    ),
    # What is staked upon: 1 a validator, 2 a miner, 3 a model, 4 a domain.
    "Staking": (
        _event("Staked", "address *staker, uint8 targetType, bytes32 *target, uint256 amount, uint256 shares"),
        _event(
            "UnstakeRequested",
            "address *staker, uint8 targetType, bytes32 *target, uint256 amount, uint256 shares, uint64 unlockAt",
        ),
        _event("Unstaked", "address *staker, uint8 targetType, bytes32 *target, uint256 amount"),
        _event(
            "Redelegated",
            "address *staker, bytes32 *from, bytes32 *to, uint8 fromType, uint8 toType, uint256 amount, uint256 shares",
        ),
        _event("CommissionSet", "bytes32 *target, uint32 old, uint32 new_, uint64 fromEpoch"),
    ),
    "Models": (
        _event(
            "ModelRegistered",
            "bytes32 *model, bytes32 *domain, address *creator, uint32 a, uint32 b, uint32 x, bytes32 metaHash",
        ),
        _event("ModelVersionPublished", "bytes32 *model, uint32 version, bytes32 hash"),
        _event("ModelStatusChanged", "bytes32 *model, uint8 old, uint8 new_"),
    ),
    "Funding": (
        _event(
            "RoundOpened",
            "bytes32 *round, bytes32 *model, address *creator, uint256 target, uint64 deadline, bytes32 termsHash",
        ),
        _event("Backed", "bytes32 *round, address *backer, uint256 amount, uint256 shares"),
        _event("FundsReleased", "bytes32 *round, address *creator, uint256 amount"),
        _event("Refunded", "bytes32 *round, address *backer, uint256 amount"),
        _event("YieldDeposited", "bytes32 *round, address *vault, uint256 assets, uint256 shares"),
        _event("YieldWithdrawn", "bytes32 *round, address *vault, uint256 assets, uint256 shares"),
        _event("BackerShareTransferred", "bytes32 *round, address *from, address *to, uint256 shares"),
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
    # Accrual (a leg of revenue), swap and burn are three different events.
    "Burner": (
        _event("BuybackExecuted", "bytes32 *batch, address *assetIn, uint256 amountIn, uint256 dnOut, uint256 minOut"),
        _event("DNBurned", "bytes32 *source, bytes32 *ref, uint256 amount"),
    ),
    "Emission": (
        _event("EpochOpened", "uint64 *epoch, uint64 startBlock"),
        _event("EmissionMinted", "uint64 *epoch, uint256 amount, uint256 fromRevenue"),
        _event(
            "EpochAllocated",
            "uint64 *epoch, bytes32 *domain, address *asset, uint256 miners, uint256 stakers, uint256 validators,"
            " uint256 owner, uint256 models, uint256 foundation, uint256 undistributed",
        ),
    ),
    "Rewards": (
        # total: of everything that the root entitles to, in all epochs together (claims are cumulative).
        _event(
            "RootSubmitted",
            "uint64 *epoch, bytes32 *root, address *asset, uint256 total, uint64 endBlock, string uri, bytes32 ruleset,"
            " uint64 activatesAt",
        ),
        _event("RootDisabled", "uint64 *epoch, address *asset, bytes32 *reason"),
        _event("Claimed", "uint64 *epoch, address *earner, address *asset, address to, uint256 amount"),
    ),
    "Trust": (
        _event(
            "ScoreCheckpoint",
            "uint8 subjectType, bytes32 *subject, bytes32 *domain, uint64 *epoch, uint32 old, uint32 new_,"
            " uint8 reason, bytes32 evidenceRoot",
        ),
    ),
    "Governance": (
        _event(
            "ProposalCreated",
            "bytes32 *proposal, address *proposer, bytes32 *scope, bytes32 key, uint256 value, uint256 deposit,"
            " uint64 votingEnds",
        ),
        # choice: 0 against, 1 for, 2 abstain.
        _event("VoteCast", "bytes32 *proposal, address *voter, uint8 choice, uint256 weight"),
        _event(
            "ProposalTallied",
            "bytes32 *proposal, uint256 votesFor, uint256 votesAgainst, uint256 votesAbstain, bool passed",
        ),
        _event("DepositReturned", "bytes32 *proposal, address *to, uint256 amount"),
        _event("DepositForfeited", "bytes32 *proposal, address *to, uint256 amount"),
    ),
    # Kept, decoded and shown; the books have no rule for it.
    "Other": (),
}
"""What each kind of contract must be able to say; argument names are part of it."""


def describe(event: EventAbi) -> str:
    """Write an event as Solidity does, for a message."""
    arguments = ", ".join(f"{i.type}{' indexed' if i.indexed else ''} {i.name}" for i in event.inputs)
    return f"{event.name}({arguments})"

"""What people held when an epoch began: stakes, commissions, shares of a model; what further weights are."""

from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.explaining.explanation import Cell, Step, Table, answers, counted, places
from deepnode_projections.explaining.past import Past
from deepnode_projections.explaining.work_done import Weighed
from deepnode_projections.rules.epochs import Epoch
from deepnode_projections.rules.funding import BackerShare, RoundOfModel
from deepnode_projections.rules.parameters import ruleset_at
from deepnode_projections.rules.pools import DOMAIN, BackerAt, OwnerAt, Reward
from deepnode_projections.rules.staking import TARGETS, Commission, StakeAt, commission_at, stakes_at
from deepnode_projections.rulesets.ruleset import PPM

VALIDATOR_TARGET = 1
"""A validator as what is staked on (a target type of ``Staking``)."""


def commission_of(past: Past, line: Reward) -> Step:
    """Say what a line's validator kept of its reward in the epoch, and since when."""
    rate = commission_at(past, line.subject, line.epoch)
    known = [each for each in past.every(Commission, line.subject) if each.from_epoch <= line.epoch]
    if not known:
        said = f"Validator {to_hex(line.subject)} never announced a commission for epoch {line.epoch}: it is 0."
        return Step("The commission", (said,), seeds=("002 section 3",))
    newest = max(known, key=lambda each: each.announced_position)
    said = (
        f"Validator {to_hex(line.subject)} keeps a commission of {rate} of {PPM} ppm; {PPM - rate} ppm are for who has "
        f"staked on it. It holds from epoch {newest.from_epoch} on."
    )
    return Step("The commission", (said,), seeds=("002 section 3",), positions=(newest.announced_position,))


def delegations(past: Past, line: Reward) -> Weighed:
    """Say who had staked how much on a line's validator when the epoch began."""
    step, weights = _stakes(past, line, VALIDATOR_TARGET)
    return Weighed(step, weights, line.earner)


def stakes_on_domain(past: Past, line: Reward) -> Weighed:
    """Say who had staked how much on a line's domain when the epoch began."""
    step, weights = _stakes(past, line, DOMAIN)
    return Weighed(step, {staker + line.subject: held for staker, held in weights.items()}, line.earner + line.subject)


def shares_of_model(past: Past, line: Reward) -> Weighed:
    """Say who held how many shares of a line's model when the epoch began."""
    held = past.every(BackerAt, line.epoch, line.subject)
    own = sum(each.shares for each in held if each.backer == line.earner)
    opened = past.get(Epoch, line.epoch)
    bought: list[int | None] = []
    if opened is not None:
        before = past.at(opened.opened_position)
        rounds = before.every(RoundOfModel, line.subject)
        bought = [before.since(BackerShare, each.round, each.contract, line.earner) for each in rounds]
    total = sum(each.shares for each in held)
    rows: tuple[tuple[Cell, ...], ...] = (
        (line.earner, own),
        (counted(len(held) - 1, "other backer"), total - own),
        ("all", total),
    )
    said = f"When epoch {line.epoch} began, {to_hex(line.earner)} held {own} of {total} shares of the model."
    step = Step(
        "The shares",
        (said,),
        table=Table(("backer", "shares"), rows),
        seeds=("004 step 1", "004 step 3"),
        positions=places(*bought, None if opened is None else opened.opened_position),
    )
    return Weighed(step, {each.backer: each.shares for each in held}, line.earner)


def owner_of_domain(past: Past, line: Reward) -> Step:
    """Say who owned a line's domain when the epoch began."""
    since = past.since(OwnerAt, line.epoch, line.domain)
    said = f"When epoch {line.epoch} began, {to_hex(line.earner)} owned the domain. The whole leg is the owner's."
    return Step("The owner", (said,), seeds=("001 section 2",), positions=places(since))


def foundation(past: Past, line: Reward) -> Step:
    """Say why the foundation has a leg."""
    said = f"The manifest names {to_hex(line.earner)} as the foundation. The whole leg is the foundation's."
    fields = answers(ruleset_at(past, line.epoch), "emission.foundation_ppm")
    return Step("The foundation", (said,), seeds=("001 section 2",), fields=fields)


def _stakes(past: Past, line: Reward, target_type: int) -> tuple[Step, dict[bytes, int]]:
    held = dict(stakes_at(past, target_type, line.subject, line.epoch))
    own = held.get(line.earner, 0)
    changes = [
        each for each in past.every(StakeAt, target_type, line.subject, line.earner) if each.from_epoch <= line.epoch
    ]
    changed_at = [past.since(StakeAt, target_type, line.subject, line.earner, each.from_epoch) for each in changes]
    total = sum(held.values())
    rows: tuple[tuple[Cell, ...], ...] = (
        (line.earner, own),
        (counted(len(held) - (1 if own else 0), "other staker"), total - own),
        ("all", total),
    )
    target = TARGETS[target_type]
    said = [
        (
            f"When epoch {line.epoch} began, {to_hex(line.earner)} had {own} of {total} base units of stake on "
            f"the {target} {to_hex(line.subject)}."
        ),
        "What is staked or taken back within an epoch counts from the next one on.",
    ]
    step = Step(
        "The stakes",
        tuple(said),
        table=Table(("staker", "stake"), rows),
        seeds=("002 section 3", "DESIGN section 6"),
        positions=places(*changed_at),
    )
    return step, held

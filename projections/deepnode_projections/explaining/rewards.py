"""A reward, from the tasks and stakes to the line, division by division."""

from collections.abc import Sequence

from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.explaining import holdings
from deepnode_projections.explaining.division import by_largest_remainder, divisions, in_two
from deepnode_projections.explaining.entitlement import entitlement
from deepnode_projections.explaining.explanation import Asset, Explanation, NothingToExplain, Step, answers
from deepnode_projections.explaining.past import Past
from deepnode_projections.explaining.pool import LEG_OF_ROLE, leg_step, pool_step, ruleset_step
from deepnode_projections.explaining.usage import rates_of_model, use_of_model
from deepnode_projections.explaining.work_done import judgements_of_validator, work_of_miner
from deepnode_projections.maths.apportion import Share
from deepnode_projections.rules.emission import Allocation
from deepnode_projections.rules.parameters import ruleset_at
from deepnode_projections.rules.pools import Reward
from deepnode_projections.rulesets import FieldValue


def explain_reward(
    past: Past, asset: Asset, epoch: int, earner: bytes, domain: bytes | None = None
) -> Sequence[Explanation]:
    """Explain every line that an earner has got of an asset for an epoch, then what it is entitled to altogether.

    Args:
        past: the books at a position.
        asset: what was earned.
        epoch: for which it was earned.
        earner: an address (20 bytes).
        domain: of the lines (32 bytes); None for all domains.

    Raises:
        NothingToExplain: there is no such line.
    """
    lines = [
        each
        for _, each in past.found(Reward, "earner", earner)
        if (each.epoch, each.asset) == (epoch, asset.address) and domain in (None, each.domain)
    ]
    if not lines:
        where = "" if domain is None else f" in domain {to_hex(domain)}"
        raise NothingToExplain(
            f"no reward of {to_hex(earner)} in {asset.symbol} for epoch {epoch}{where} is in the books at position "
            f"{past.position}"
        )
    return [*(line_of(past, asset, each) for each in lines), entitlement(past, asset, epoch, earner)]


def line_of(past: Past, asset: Asset, line: Reward) -> Explanation:
    """Explain a line of a pool."""
    allocated = past.since(Allocation, line.epoch, line.domain, line.asset)
    assert allocated is not None, "a line comes about by an allocation"
    # What the rules knew when they divided: they are asked at that entry, and nothing that came later counts.
    then = past.at(allocated)
    fact = then.get(Allocation, line.epoch, line.domain, line.asset)
    assert fact is not None, line
    leg = LEG_OF_ROLE[line.role]
    steps = (
        ruleset_step(then, line.epoch),
        pool_step(then, line.epoch, line.domain, asset, fact),
        leg_step(then, line.epoch, line.domain, asset, fact, leg),
        *_shares(then, asset, line, divisions(line.path)),
    )
    title = (
        f"{line.role} ({line.kind}): {asset.amount(line.amount)} for epoch {line.epoch}, earned by "
        f"{to_hex(line.earner)} with {to_hex(line.subject)}"
    )
    return Explanation(title, past.position, line.amount, asset, steps)


def _shares(past: Past, asset: Asset, line: Reward, path: Sequence[Share]) -> Sequence[Step]:
    match line.role:
        case "miner":
            made = work_of_miner(past, line)
            return made.step, by_largest_remainder("The share", asset, path[0], made.weights, made.key, "weighted work")
        case "staker":
            made = holdings.stakes_on_domain(past, line)
            return made.step, by_largest_remainder("The share", asset, path[0], made.weights, made.key, "stake")
        case "validator" | "delegator":
            return _of_validator(past, asset, line, path)
        case "owner":
            return (holdings.owner_of_domain(past, line),)
        case "foundation":
            return (holdings.foundation(past, line),)
        case _:
            return _of_model(past, asset, line, path)


def _of_validator(past: Past, asset: Asset, line: Reward, path: Sequence[Share]) -> Sequence[Step]:
    made = judgements_of_validator(past, line)
    weight = "difficulty of judgements in line"
    first = by_largest_remainder("The validator's part", asset, path[0], made.weights, made.key, weight)
    fields: tuple[FieldValue, ...] = ()
    if line.kind == "commission":
        said = "The commission is rounded down."
    elif line.kind == "delegation":
        said = "What the commission leaves is for who has staked on the validator."
    else:
        said = "What the commission leaves goes to the validator too: nobody had staked on it when the epoch began."
        fields = answers(ruleset_at(past, line.epoch), "emission.no_delegators")
    second = in_two("Commission and the rest", asset, path[1], said, fields, "001 section 4")
    steps = [made.step, first, holdings.commission_of(past, line), second]
    if line.kind == "delegation":
        stakes = holdings.delegations(past, line)
        third = by_largest_remainder("The delegator's share", asset, path[2], stakes.weights, stakes.key, "stake")
        steps += [stakes.step, third]
    return steps


def _of_model(past: Past, asset: Asset, line: Reward, path: Sequence[Share]) -> Sequence[Step]:
    made = use_of_model(past, line)
    first = by_largest_remainder("The model's part", asset, path[0], made.weights, made.key, "usage * relevance")
    fields: tuple[FieldValue, ...] = ()
    if line.kind == "royalty":
        said = "This is the creator's part."
    elif line.role == "backer":
        said = "This is the part of all backers together."
    else:
        said = "This is the backers' part; it goes to the creator, because the model had no backers."
        fields = answers(ruleset_at(past, line.epoch), "emission.no_backers")
    second = in_two("Royalty and the backers' part", asset, path[1], said, fields, "004 step 3")
    steps = [made.step, first, rates_of_model(past, line), second]
    if line.role == "backer":
        shares = holdings.shares_of_model(past, line)
        third = by_largest_remainder("The backer's share", asset, path[2], shares.weights, shares.key, "shares")
        steps += [shares.step, third]
    return steps

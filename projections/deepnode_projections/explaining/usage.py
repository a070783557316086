"""How much a model was used in an epoch, and what people made of it: what the weights of models are."""

from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.explaining.explanation import Cell, Step, Table, answers, places
from deepnode_projections.explaining.past import Past, span_of
from deepnode_projections.explaining.work_done import Weighed
from deepnode_projections.rules.parameters import ruleset_at
from deepnode_projections.rules.pools import Reward
from deepnode_projections.rules.powr import ModelRank
from deepnode_projections.rules.registry import Model
from deepnode_projections.rules.tasks import CREDITED, Task, slots_of
from deepnode_projections.rules.work import ModelSales, ModelUse
from deepnode_projections.rulesets.ruleset import PPM


def use_of_model(past: Past, line: Reward) -> Weighed:
    """Say which tasks made the weight of a line's model, and with which relevance."""
    rules, span = ruleset_at(past, line.epoch), span_of(past, line.epoch)
    how, rows, weighted, price = rules.emission.model_use, list[tuple[Cell, ...]](), 0, 0
    for counted_at, task in past.found(Task, "model", line.subject):
        if task.stage != CREDITED or counted_at not in span or task.domain != line.domain:
            continue
        vwu = sum(slot.credited_vwu or 0 for slot in slots_of(past, task.task, task.attempt))
        weighted += vwu * task.difficulty_ppm
        price += task.price if task.asset == line.asset else 0
        own = task.price if task.asset == line.asset else None
        rows.append((task.task, vwu, task.difficulty_ppm, vwu * task.difficulty_ppm, own, counted_at))
    found = {"weighted": weighted, "tasks": len(rows), "revenue": price}[how]
    use = past.get(ModelUse, line.epoch, line.domain, line.subject)
    kept = 0 if use is None else _usage(past, how, use, line.asset)
    rank = past.get(ModelRank, line.epoch, line.domain, line.subject)
    relevance = PPM if rank is None else rank.relevance
    said = [
        (
            f"Tasks that used model {to_hex(line.subject)} and were counted in epoch {line.epoch}: {len(rows)}. Its "
            f"usage, as the ruleset measures it ({how}), is {found}."
        ),
    ]
    if found != kept:
        said.append(f"The books' total says {kept}: what makes the difference was not found.")
    formulas = []
    if rank is None:
        said.append("It was not ranked in that epoch, so its relevance is the whole.")
    else:
        said.append(
            f"Its relevance (PoWR) is the mean of its use beside the domain's most used model, {rank.use} ppm, and of "
            f"what users said, {rank.satisfaction} ppm: rank {rank.rank} of the domain."
        )
        formulas.append(f"({rank.use} + {rank.satisfaction}) / 2 = {rank.relevance} ppm, rounded down")
    formulas.append(f"{kept} * {relevance} = {kept * relevance}")
    ranked_at = past.since(ModelRank, line.epoch, line.domain, line.subject)
    step = Step(
        "How the model was used",
        tuple(said),
        tuple(formulas),
        Table(("task", "counted VWU", "difficulty ppm", "weighted", "price", "counted at"), tuple(rows)),
        ("002 section 2", "001 section 4"),
        answers(rules, "emission.model_use"),
        places(ranked_at, *(row[5] for row in rows if isinstance(row[5], int))),
        found == kept,
    )
    weights, key = {}, b""
    for each in past.every(ModelUse, line.epoch, line.domain):
        model = past.get(Model, each.model)
        if model is None:
            continue
        of = past.get(ModelRank, line.epoch, line.domain, each.model)
        weight = _usage(past, how, each, line.asset) * (PPM if of is None else of.relevance)
        weights[model.creator + each.model] = weight
        if each.model == line.subject:
            key = model.creator + each.model
    return Weighed(step, weights, key)


def rates_of_model(past: Past, line: Reward) -> Step:
    """Say how a line's model divides its reward between its creator and its backers."""
    model = past.get(Model, line.subject)
    assert model is not None, "a model without a registration earns nothing"
    registered = past.changes(Model, line.subject)[0][0]
    said = (
        f"The model's creator has set a royalty b of {model.b} ppm, and a of {model.a} ppm for its backers, at its "
        f"registration. The creator gets b / (a + b) of the model's reward, its backers a / (a + b)."
    )
    return Step("Creator and backers", (said,), seeds=("004 step 2", "004 step 3"), positions=(registered,))


def _usage(past: Past, how: str, use: ModelUse, asset: bytes) -> int:
    if how == "revenue":
        sales = past.get(ModelSales, use.epoch, use.domain, use.model, asset)
        return 0 if sales is None else sales.amount
    return use.weighted if how == "weighted" else use.tasks

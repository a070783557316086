"""The divisions of a proof: what is divided, by which weights, and from which entries each weight comes.

A line of a reward is a way through divisions: the legs of the pool, then those of ``rules.pools.Reward.path``. Many
lines go through the same division, which is written once. What ``by`` says is how the weights come about
(docs/checker.md).
"""

from typing import Any, Final

from deepnode_cli.proving.tasks_done import Pool
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.maths.apportion import Share
from deepnode_projections.maths.rewards import EARNER, REST
from deepnode_projections.rules.domains import Domain, EmissionWeights, weights_at
from deepnode_projections.rules.emission import Allocation
from deepnode_projections.rules.epochs import Epoch
from deepnode_projections.rules.funding import BackerShare, RoundOfModel
from deepnode_projections.rules.parameters import ruleset_at
from deepnode_projections.rules.pools import DOMAIN, BackerAt, Reward
from deepnode_projections.rules.powr import ModelRank
from deepnode_projections.rules.registry import Model, Node
from deepnode_projections.rules.staking import Commission, StakeAt, stakes_at
from deepnode_projections.rules.work import ModelSales, ModelUse, ValidatorWork, Work
from deepnode_projections.rulesets.ruleset import LEG_NAMES, PPM

VALIDATOR: Final = 1
"""A validator as what is staked on."""

Way = list[list[Any]]
"""Numbers of divisions, each with the key of the share that the way goes on from."""


class Divisions:
    """Writes the divisions of one pool down, each once."""

    def __init__(self, pool: Pool, fact: Allocation, foundation: bytes | None, into: list[dict[str, Any]]) -> None:
        self._pool, self._past, self._fact = pool, pool.past, fact
        self._rules = ruleset_at(pool.past, pool.epoch)
        self._foundation = foundation
        self._made = into
        self._numbers: dict[tuple[str, bytes], int] = {}
        opened = self._past.get(Epoch, pool.epoch)
        assert opened is not None, "a pool is of an epoch that was opened"
        self._opened = opened.opened_position

    def way(self, line: Reward, path: tuple[Share, ...]) -> Way:
        """Return a line's way, the leg first."""
        leg = {"miner": 0, "staker": 1, "validator": 2, "delegator": 2, "owner": 3, "creator": 4, "backer": 4}
        way: Way = [[self._legs(), bytes([leg.get(line.role, 5)]).hex()]]
        first = [s.of for s in path]
        subject = line.subject
        match line.role:
            case "miner":
                way.append([self._work("work", first[0]), (line.earner + subject).hex()])
            case "staker":
                way.append([self._stakes(DOMAIN, subject, first[0]), (line.earner + subject).hex()])
            case "validator" | "delegator":
                node = self._known(Node, subject)
                way.append([self._work("judgements", first[0]), (node.operator + subject).hex()])
                kept = EARNER if line.kind == "commission" else REST
                way.append([self._commission(subject, first[1]), kept.hex()])
                if line.kind == "delegation":
                    way.append([self._stakes(VALIDATOR, subject, first[2]), line.earner.hex()])
                elif stakes_at(self._past, VALIDATOR, subject, self._pool.epoch):
                    # What is not the operator's is shown too, so that nothing of it can be taken for his.
                    self._stakes(VALIDATOR, subject, path[0].amount - path[1].amount)
            case "creator" | "backer":
                model = self._known(Model, subject)
                way.append([self._usage(first[0]), (model.creator + subject).hex()])
                way.append([self._royalty(model, first[1]), (EARNER if line.kind == "royalty" else REST).hex()])
                if line.role == "backer":
                    way.append([self._shares(subject, first[2]), line.earner.hex()])
                elif model.a and self._past.every(BackerAt, self._pool.epoch, subject):
                    self._shares(subject, path[0].amount - path[1].amount)
            case _:
                way.append([self._whole(line, first[0]), line.earner.hex()])
        return way

    def _known(self, kind: type[Any], key: bytes) -> Any:
        found = self._past.get(kind, key)
        assert found is not None, (kind, key)
        return found

    def _add(self, by: str, subject: bytes, of: int, shares: list[dict[str, Any]], **more: Any) -> int:
        number = self._numbers.get((by, subject))
        if number is None:
            number = self._numbers[by, subject] = len(self._made)
            shares = sorted((each for each in shares if each["weight"]), key=lambda each: each["key"])
            written = [{**each, "weight": str(each["weight"])} for each in shares]
            told = {"by": by, "subject": to_hex(subject), "of": str(of), "shares": written, "set": None, "event": None}
            self._made.append({**told, **more})
        assert self._made[number]["of"] == str(of), (by, subject, of)
        return number

    def _legs(self) -> int:
        """The pool over its legs: EmissionWeightsSet and the ruleset's part of the foundation."""
        past, pool = self._past, self._pool
        set_ = weights_at(past, pool.domain, pool.epoch)
        assert set_ is not None, "a domain without weights has no lines"
        weights = [getattr(set_, leg) for leg in LEG_NAMES]
        if self._rules.emission.fixed_weights is not None:
            weights = [getattr(self._rules.emission.fixed_weights, leg) for leg in LEG_NAMES]
        weights.append(self._rules.emission.foundation_ppm)
        since = past.since(EmissionWeights, pool.domain, set_.version)
        assert since is not None
        shares = [{"key": bytes([leg]).hex(), "weight": weight} for leg, weight in enumerate(weights)]
        return self._add(
            "legs", pool.domain, self._fact.pool, shares, set=pool.evidence.at(since), event="EmissionWeightsSet"
        )

    def _work(self, by: str, of: int) -> int:
        """A leg over nodes: each by its operator and id, and by where it was registered."""
        if by == "work":
            done = [(each.node, each.weighted) for each in self._past.every(Work, self._pool.epoch, self._pool.domain)]
        else:
            judged = self._past.every(ValidatorWork, self._pool.epoch, self._pool.domain)
            done = [(each.validator, each.weighted) for each in judged]
        shares = []
        for id_, weighted in done:
            node = self._past.get(Node, id_)
            if node is not None:
                key, registered = (node.operator + id_).hex(), self._pool.evidence.at(node.registered_position)
                shares.append({"key": key, "weight": weighted, "registered": registered})
        return self._add(by, self._pool.domain, of, shares)

    def _commission(self, node: bytes, of: int) -> int:
        """A validator's reward in two: the commission, and the rest."""
        known = [c for c in self._past.every(Commission, node) if c.from_epoch <= self._pool.epoch]
        newest = max(known, key=lambda each: each.announced_position, default=None)
        rate = 0 if newest is None else newest.rate
        set_ = None if newest is None else self._pool.evidence.at(newest.announced_position)
        shares = [{"key": EARNER.hex(), "weight": rate}, {"key": REST.hex(), "weight": PPM - rate}]
        event = None if set_ is None else "CommissionSet"
        return self._add("commission", node, of, shares, set=set_, event=event)

    def _stakes(self, target_type: int, target: bytes, of: int) -> int:
        """A reward over stakes at the epoch's start: every entry that changed one of them before."""
        held = stakes_at(self._past, target_type, target, self._pool.epoch)
        tail = target if target_type == DOMAIN else b""
        shares = [{"key": (staker + tail).hex(), "weight": amount} for staker, amount in held]
        changed = sorted({place for place, _ in self._past.changes(StakeAt, target_type, target)})
        events = [self._pool.evidence.at(place) for place in changed if place < self._opened]
        return self._add("stake", target, of, shares, target_type=target_type, events=events)

    def _usage(self, of: int) -> int:
        """A leg over models: usage times relevance."""
        past, pool = self._past, self._pool
        shares = []
        for use in past.every(ModelUse, pool.epoch, pool.domain):
            model, rank = past.get(Model, use.model), past.get(ModelRank, pool.epoch, pool.domain, use.model)
            if model is None:
                continue
            relevance = PPM if rank is None else rank.relevance
            weight, key = self._measured(use) * relevance, (model.creator + use.model).hex()
            registered = pool.evidence.at(past.changes(Model, use.model)[0][0])
            shares.append({"key": key, "weight": weight, "registered": registered, "relevance": relevance})
        return self._add("usage", pool.domain, of, shares)

    def _measured(self, use: ModelUse) -> int:
        match self._rules.emission.model_use:
            case "weighted":
                return use.weighted
            case "tasks":
                return use.tasks
            case "revenue":
                sales = self._past.get(ModelSales, use.epoch, use.domain, use.model, self._fact.asset)
                return 0 if sales is None else sales.amount

    def _royalty(self, model: Model, of: int) -> int:
        """A model's reward in two: b for its creator, a for its backers."""
        b, both = (model.b, model.a + model.b) if model.a + model.b else (1, 1)
        shares = [{"key": EARNER.hex(), "weight": b}, {"key": REST.hex(), "weight": both - b}]
        registered = self._past.changes(Model, model.model)[0][0]
        set_ = self._pool.evidence.at(registered)
        return self._add("royalty", model.model, of, shares, set=set_, event="ModelRegistered")

    def _shares(self, model: bytes, of: int) -> int:
        """The backers' part over shares at the epoch's start: every entry that changed one of them before."""
        past = self._past
        held = [{"key": b.backer.hex(), "weight": b.shares} for b in past.every(BackerAt, self._pool.epoch, model)]
        events = set[int]()
        for each in past.every(RoundOfModel, model):
            events |= {place for place, _ in past.changes(RoundOfModel, model, each.round, each.contract)}
            events |= {place for place, _ in past.changes(BackerShare, each.round, each.contract)}
        before = [self._pool.evidence.at(place) for place in sorted(events) if place < self._opened]
        return self._add("shares", model, of, held, events=before)

    def _whole(self, line: Reward, of: int) -> int:
        """A whole leg for one: the domain's owner, or the foundation, whom the manifest names."""
        shares = [{"key": line.earner.hex(), "weight": 1}]
        if line.role != "owner":
            assert line.earner == self._foundation, line
            return self._add(line.role, line.domain, of, shares)
        changes = [each for each in self._past.changes(Domain, line.domain) if each[0] < self._opened]
        position, domain = changes[-1]
        assert domain.owner == line.earner, line
        event = "DomainCreated" if position == domain.created_position else "DomainOwnerChanged"
        return self._add(line.role, line.domain, of, shares, set=self._pool.evidence.at(position), event=event)

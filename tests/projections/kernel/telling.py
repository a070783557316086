"""A producer of task events that knows what the rules know, and errs at times: histories of any length from a seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import TaskEvent
from deepnode_projections.registers.state import State
from deepnode_projections.rules import tasks
from deepnode_projections.rules.collateral import Collateral
from deepnode_projections.rules.observations import PRICE, RATING, Observation
from deepnode_projections.rules.registry import MINER, PPM, VALIDATOR, Model, Node
from deepnode_projections.rules.scene import NoEffect
from deepnode_projections.rules.tasks import Slot, Task
from deepnode_projections.rules.trust import ruleset_of, score_of
from deepnode_projections.rules.verdicts import Report, Validation
from tests.projections.rules.spoken import PRODUCER, data_of, event
from tests.projections.rules.told import DN, USDC, address, open_epoch, word

NODES = tuple(f"n{number}" for number in range(1, 8))
VALIDATORS = tuple(f"v{number}" for number in range(1, 9))
MODELS = ("m1", "m2", "m3")
DOMAINS = ("d1", "d2")
OPEN_TASKS = 6

Said = tuple[str, Mapping[str, Any]]


class Producer:
    """Says one thing after the other, mostly what may follow in a ``state``."""

    def __init__(self, random: Random, state: State, *, errs: float = 0.06) -> None:
        self._random = random
        self._state = state
        self._errs = errs
        self._tasks: list[str] = []
        self._said = 0
        self._begun = 0
        self._before: list[Said] = []

    def next(self) -> TaskEvent:
        """Return what is said next."""
        kind, members = self._right()
        if self._random.random() < self._errs:
            kind, members = self._wrong(kind, dict(members))
        self._before = [*self._before[-30:], (kind, members)]
        self._said += 1
        producer = PRODUCER if self._random.random() < 0.9 else "urn:producer:2"
        return event(kind, self._said, data_of(kind, **members), producer)

    def happening(self) -> Callable[[State], None]:
        """Return something that is not said, but happens to a state: an epoch, a node, a model, a deposit."""
        pick, node, free = self._random.choice, self._random.choice(NODES), self._random.randrange(-3, 10**25)
        epoch = self._random.randrange(1, 9)
        domain, role = word(pick(DOMAINS)), pick((MINER, VALIDATOR))
        name = node if role == MINER or self._random.random() < 0.2 else pick(VALIDATORS)
        left = pick((None, None, None, None, None, 1, 2))
        known = Node(word(name), domain, address("anna"), role, left is None, 5, 1, 1, None, None)
        model = Model(word(pick(MODELS)), domain, address("ben"), 0, 0, 0, 2, 0, word("meta"))
        return pick(
            (
                lambda state: open_epoch(state, epoch),
                lambda state: state.put(replace(known, left_reason=None if left is None else 1, left_epoch=left)),
                lambda state: state.put(Collateral(word(node), free, 0)),
                lambda state: state.put(model),
            )
        )

    def _right(self) -> Said:
        self._tasks = [name for name in self._tasks if self._is_open(name)]
        if self._random.random() < 0.02:
            return self._price()
        if (len(self._tasks) < OPEN_TASKS and self._random.random() < 0.3) or not self._tasks:
            return self._new()
        name = self._random.choice(self._tasks)
        task = self._state.get(Task, word(name))
        if task is None:
            return self._new()
        own = {"task": name, "attempt": task.attempt}
        if task.stage == tasks.APPROVED:
            return self._seen(task) if self._random.random() < 0.3 else self._credit(task, own)
        if task.stage == tasks.FAILED:
            again = ("TaskReassigned", {**own, "next_attempt": task.attempt + 1})
            return again if task.attempt < tasks.ATTEMPTS_MAX and self._random.random() < 0.8 else ("TaskRejected", own)
        if task.stage == tasks.CREDITED:
            return self._seen(task) if self._random.random() < 0.5 else self._correct(task, own)
        slots = self._state.every(Slot, task.task, task.attempt)
        if len(slots) < ruleset_of(self._state).work.slots:
            return self._assign(task, slots, own)
        return self._work(task, slots, own)

    def _is_open(self, name: str) -> bool:
        task = self._state.get(Task, word(name))
        if task is None or task.stage in (tasks.REJECTED, tasks.EXPIRED):
            return False
        return task.stage != tasks.CREDITED or self._random.random() < 0.4

    def _new(self) -> Said:
        self._begun += 1
        name = f"t{self._begun}"
        self._tasks.append(name)
        pick = self._random.choice
        model = pick(MODELS)
        known = self._state.get(Model, word(model))
        domain = pick(DOMAINS) if known is None else known.domain.rstrip(b"\0").decode()
        price = pick((0, 1, 2**64 - 1, 2**64, 10**20, self._random.randrange(10**30), self._random.randrange(10**37)))
        told = {"price": str(price), "asset": to_hex(pick((DN, USDC))), "consumer_hash": f"c{self._begun}"}
        difficulty = pick((1, 10**6, 10**7, self._random.randrange(1, 10**7)))
        return "TaskCreated", {"task": name, "domain": domain, "model": model, "difficulty_ppm": difficulty, **told}

    def _assign(self, task: Task, slots: Sequence[Slot], own: dict[str, Any]) -> Said:
        taken = {slot.node for slot in slots}
        free = [name for name in NODES if word(name) not in taken]
        node = self._random.choice([name for name in free if self._may(name, MINER, task.domain)] or free)
        slot = next(number for number in range(1, 65) if number not in {slot.slot for slot in slots})
        backing = self._state.get(Collateral, word(node))
        collateral = self._random.randrange(10**22) if backing is None else max(0, backing.free)
        trust = score_of(self._state, MINER, word(node), task.domain)
        about = {"slot": slot, "node": node, "trust_ppm": trust, "collateral": str(collateral)}
        return "TaskAssigned", {**own, **about}

    def _may(self, node: str, role: int, domain: bytes) -> bool:
        try:
            tasks.check_node(self._state, word(node), role, domain)
        except NoEffect:
            return False
        return True

    def _work(self, task: Task, slots: Sequence[Slot], own: dict[str, Any]) -> Said:
        chance = self._random.random()
        if chance < 0.02:
            return "TaskExpired", own
        if chance < 0.04 and task.attempt < tasks.ATTEMPTS_MAX:
            return "TaskReassigned", {**own, "next_attempt": task.attempt + 1}
        for slot in slots:
            if slot.output_hash is None and (slot.slot == 1 or self._random.random() < 0.85):
                return self._answer(slot, own)
        rules = ruleset_of(self._state).work
        answered = [slot for slot in slots if slot.output_hash is not None]
        if not answered:
            return self._answer(slots[0], own)
        given = {slot.slot: self._state.every(Validation, task.task, task.attempt, slot.slot) for slot in answered}
        if all(len(each) >= rules.quorum for each in given.values()) and self._random.random() < 0.5:
            votes = {slot: [each.verdict == "correct" for each in given[slot]] for slot in given}
            correct = [slot for slot in votes if sum(votes[slot]) * PPM > rules.majority_ppm * len(votes[slot])]
            return "ConsensusReached", {**own, "verdict": "approved" if correct else "rejected", "accepted": correct}
        slot = min(answered, key=lambda each: (len(given[each.slot]), self._random.random()))
        against = [each for each in given[slot.slot] if each.verdict == "incorrect" and not self._is_reported(each)]
        if against and self._random.random() < 0.5:
            about = {"slot": slot.slot, "node": _name(slot.node), "validator": _name(against[0].validator)}
            return "BadBehaviourReported", {**own, **about, "severity": self._random.randint(1, 3)}
        done = {each.validator for each in given[slot.slot]}
        others = [name for name in VALIDATORS if word(name) not in done and self._may(name, VALIDATOR, task.domain)]
        verdict = self._random.choice(("correct", "correct", "incorrect"))
        about = {"slot": slot.slot, "validator": self._random.choice(others or VALIDATORS), "verdict": verdict}
        return "ValidationSubmitted", {**own, **about, "score": self._random.randint(0, 100)}

    def _is_reported(self, each: Validation) -> bool:
        return self._state.get(Report, each.task, each.attempt, each.slot, each.validator) is not None

    def _answer(self, slot: Slot, own: dict[str, Any]) -> Said:
        about: dict[str, Any] = {"slot": slot.slot, "node": _name(slot.node)}
        about["output_hash"] = self._random.choice(("same", f"o{self._said}"))
        if self._random.random() < 0.7:
            about["latency_ms"] = self._random.choice((0, 2**53, 250))
        if self._random.random() < 0.7:
            about["usage"] = self._random.choice(({}, {"input_tokens": 7}, {"output_tokens": 2**53, "input_tokens": 0}))
        return "OutputSubmitted", {**own, **about}

    def _credit(self, task: Task, own: dict[str, Any]) -> Said:
        left = [s for s in self._state.every(Slot, task.task, task.attempt) if s.verdict == "correct" and s.vwu is None]
        slot = self._random.choice(left)
        vwu = self._random.choice((1, 1, 1, 3, 10**12, self._random.randrange(1, 10**12)))
        about = {"slot": slot.slot, "node": _name(slot.node), "vwu": vwu, "difficulty_ppm": task.difficulty_ppm}
        return "VWUAssigned", {**own, **about}

    def _correct(self, task: Task, own: dict[str, Any]) -> Said:
        slots = self._state.every(Slot, task.task, task.attempt)
        told = self._random.choice([slot for slot in slots if slot.vwu is not None])
        choices: tuple[dict[str, Any], ...] = (
            {"corrects": task.event_id, "task": own["task"], "price": str(self._random.randrange(10**30))},
            {"corrects": task.event_id, "task": own["task"], "difficulty_ppm": self._random.randrange(1, 10**7)},
            {"corrects": told.vwu_event, **own, "slot": told.slot, "vwu": self._random.randrange(1, 10**12)},
        )
        return "Correction", self._random.choice(choices)

    def _price(self) -> Said:
        """A price, or a correction of one."""
        seen = [each.event_id for each in self._state.every(Observation) if each.value_name == PRICE]
        price = {"price_ppm": str(self._random.choice((1, 400_000, 2**64, 10**38 - 1)))}
        if seen and self._random.random() < 0.3:
            return "Correction", {"corrects": self._random.choice(seen), **self._random.choice(({}, price))}
        told = {"asset": to_hex(self._random.choice((DN, USDC))), "fiat": self._random.choice(("USD", "EUR")), **price}
        return "PriceObserved", {**told, "source": self._random.choice(("urn:price", "Börse \u20ac"))}

    def _seen(self, task: Task) -> Said:
        """What is told of a task beside its way, or of what was: a rating, a settlement, a correction of one."""
        own, name = task.task, _name(task.task)
        seen = [each for each in self._state.every(Observation) if each.task == own]
        if seen and self._random.random() < 0.4:
            wrong, value = self._random.choice(seen), self._random.choice((None, 1, 4, 5))
            right = {} if value is None else {wrong.value_name: value if wrong.value_name == RATING else str(value)}
            return "Correction", {"corrects": wrong.event_id, **right}
        if self._random.random() < 0.5:
            comment = {"comment_hash": "nice"} if self._random.random() < 0.5 else {}
            return "UserFeedback", {"task": name, "rating": self._random.randint(1, 5), **comment}
        amount = self._random.choice((task.price, task.price, task.price + 2**64))
        reference = {"reference_hash": "paid"} if self._random.random() < 0.5 else {}
        told = {"asset": to_hex(task.asset), "amount": str(min(amount, 10**38 - 1)), **reference}
        return "PaymentProcessorSettled", {"task": name, **told}

    def _wrong(self, kind: str, members: dict[str, Any]) -> Said:
        if self._before and self._random.random() < 0.3:
            return self._random.choice(self._before)
        changes: dict[str, tuple[Any, ...]] = {
            "task": ("nowhere", *self._tasks),
            "attempt": (1, 2, 3, 2**31 - 1),
            "slot": (1, 2, 3, 64),
            "node": ("nobody", *NODES),
            "validator": ("stranger", *NODES, *VALIDATORS),
            "verdict": ("approved", "rejected") if kind == "ConsensusReached" else ("correct", "incorrect"),
            "accepted": ([], [1], [2], [1, 2], [64]),
            "difficulty_ppm": (1, 10**7),
            "trust_ppm": (0, 10**6),
            "collateral": ("0", str(2**64)),
            "asset": (to_hex(address("other")),),
            "domain": DOMAINS,
            "model": MODELS,
            "price": (str(10**38 - 1),),
            "amount": ("0", str(10**38 - 1)),
            "rating": (1, 5),
            "next_attempt": (1, 2, 3, 4),
            "severity": (1, 3),
            "fiat": ("CHF",),
            "source": ("urn:other",),
        }
        names = [each for each in sorted(changes) if each in members]
        if not names:
            return kind, members
        name = self._random.choice(names)
        return kind, {**members, name: self._random.choice(changes[name])}


def _name(id_: bytes) -> str:
    return id_.rstrip(b"\0").decode()

"""The tasks of the replay's history: what a producer tells of them, and what the rules make of that.

Each task is a story that is told in steps, with blocks between them, so that many are under way at once. What
statements say of trust, collateral and verdicts is what the rules give; what an epoch's tasks come to is kept here as
the books keep it, because the epoch's distribution is made of it. One in a hundred is tried again or given up, one in
thirty has a wrong output, and a few events are meant to be refused or to differ, which ``Meant`` counts.
"""

from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from benchmarks.marketplace import PRODUCER
from benchmarks.replay.columns import ToldRow
from benchmarks.replay.deployment import Crowd, Sizes, by_zipf

from deepnode_ledger import statement_data as said
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.maths.credit import credited
from deepnode_projections.maths.trust import step, step_of
from deepnode_projections.registers.record import Record
from deepnode_projections.rules.verdicts import OUTCOME
from deepnode_projections.rules.work import ModelSales, ModelUse, ValidatorWork, Work
from deepnode_projections.rulesets import Outcome, Ruleset
from deepnode_projections.rulesets.ruleset import PPM

TYPES: Final = list(said.DATA_OF)
_NUMBER: Final = {name: number for number, name in enumerate(TYPES)}

_HEADS: Final = [f'{{"specversion":"1.0","type":"{name}","source":"{PRODUCER}","id":"benchmark-' for name in TYPES]
_MIDDLE: Final = '","time":"2026-01-31T12:00:00Z","datacontenttype":"application/json","sequence":"'

EXPIRED: Final = 0.002
REJECTED: Final = 0.007
TRIED_AGAIN: Final = 0.012
ONE_WRONG: Final = 0.045
ONE_SILENT: Final = 0.05
"""Up to which number between 0 and 1 a task's fate is so; above, all goes well."""

OUT_OF_LINE: Final = 0.1
REPORTED: Final = 0.1
RATED_EVERY: Final = 50
PRICED_EVERY: Final = 500
SETTLED_EVERY: Final = 200
JUDGES: Final = 3
DIFFICULTIES: Final = (500_000, 1_000_000, 1_000_000, 2_000_000)


@dataclass(slots=True)
class Meant:
    """What the history means to be refused, and to differ from the rules."""

    refusals: int = 0
    differences: int = 0
    tasks: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """A task: its number and id, whose nodes do it, and what it costs in the token with a number."""

    number: int
    id: bytes
    text: str
    domain: int
    model: bytes
    token: int
    price: int
    difficulty: int


@dataclass(slots=True)
class Tallies:
    """What the tasks of an epoch come to: sums by whom they are of, in the order of the records' fields."""

    work: dict[tuple[bytes, bytes], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0] * 3))
    judged: dict[tuple[bytes, bytes], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0] * 3))
    use: dict[tuple[bytes, bytes], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0] * 7))
    sales: dict[tuple[bytes, bytes, bytes], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0] * 2))

    def records(self, epoch: int) -> Iterator[Record]:
        """Return them as the books have them of an epoch."""
        for (domain, node), of_node in self.work.items():
            yield Work(epoch, domain, node, *of_node)
        for (domain, validator), of_validator in self.judged.items():
            yield ValidatorWork(epoch, domain, validator, *of_validator)
        for (domain, model), of_model in self.use.items():
            yield ModelUse(epoch, domain, model, *of_model)
        for (domain, model, asset), sold in self.sales.items():
            yield ModelSales(epoch, domain, model, asset, *sold)


class Workshop:
    """Tells of tasks. ``told`` and ``asked`` are what was told, and asked for, since they were last taken."""

    def __init__(self, crowd: Crowd, sizes: Sizes, rules: Ruleset, tokens: Sequence[bytes], seed: int) -> None:
        self.meant = Meant()
        self.told: list[ToldRow] = []
        self.asked: list[Asked] = []
        self.collateral: dict[bytes, int] = dict.fromkeys(crowd.nodes, 0)
        self.block_hash = ""
        self._tallies = Tallies()
        self._crowd, self._rules, self._tokens = crowd, rules, tokens
        self._texts = crowd.texts
        self._chance = Random(seed)
        self._events = 0
        # Some forty of each, however long the history is; a short one has a few.
        self._odd_every = max(40, sizes.entries // 1_000)
        self._trust = dict.fromkeys(crowd.nodes, rules.trust.start_ppm)
        outcomes: tuple[Outcome, ...] = ("approved", "rejected", "expired", "in_line", "out_of_line")
        self._steps = {outcome: step_of(rules.trust, outcome) for outcome in outcomes}
        self._domains = by_zipf(len(crowd.domains), seed)
        parts = (crowd.models_of, crowd.miners_of, crowd.validators_of)
        self._picks = [
            [by_zipf(len(part), seed + number) for part in of_domain]
            for number, of_domain in enumerate(zip(*parts, strict=True), 1)
        ]

    def close(self, epoch: int) -> Iterator[Record]:
        """Return what the tasks of an epoch come to, and begin the next one."""
        ended, self._tallies = self._tallies, Tallies()
        return ended.records(epoch)

    def life(self) -> Iterator[int]:
        """Tell of the next task to its end; yields how many blocks go by before the next step."""
        self.meant.tasks += 1
        number, fate = self.meant.tasks, self._chance.random()
        task = self._ask(number)
        yield self._pause()
        if fate < EXPIRED:
            self._assign(task, 1)
            yield self._pause()
            self._tell(said.TASK_EXPIRED, task.text, f'"task":"{task.text}","attempt":1')
            return
        attempt = 1
        accepted = yield from self._try(task, attempt, self._wrong(fate), silent=ONE_WRONG <= fate < ONE_SILENT)
        if not accepted:
            yield 1
            if fate < REJECTED:
                self._tell(said.TASK_REJECTED, task.text, f'"task":"{task.text}","attempt":1')
                return
            self._tell(said.TASK_REASSIGNED, task.text, f'"task":"{task.text}","attempt":1,"next_attempt":2')
            attempt = 2
            yield 1
            accepted = yield from self._try(task, attempt, (), silent=False)
        vwus = []
        for slot, node in accepted.items():
            yield 1
            vwus.append(1_000 + self._chance.randrange(50))
            given = f'"node":"{self._texts[node]}","vwu":{vwus[-1]},"difficulty_ppm":{task.difficulty}'
            self._tell(said.VWU_ASSIGNED, task.text, f"{_place(task, attempt, slot)},{given}")
        self._credit(task, list(accepted.values()), vwus)
        yield self._pause()
        self._observe(task)

    def _wrong(self, fate: float) -> tuple[int, ...]:
        """Return the slots whose output turns out to be incorrect at the first attempt."""
        if fate < TRIED_AGAIN:
            return (1, 2)
        return (1 + self._chance.randrange(2),) if fate < ONE_WRONG else ()

    def _pause(self) -> int:
        return 1 + self._chance.randrange(3)

    def is_odd(self, task: Asked, which: int) -> bool:
        """Say whether a task is one of the few of which something odd is told, of the kind ``which``."""
        return task.number % self._odd_every == which

    def _word(self) -> str:
        return f"0x{self._chance.getrandbits(256):064x}"

    def _tell(self, kind: str, task: str | None, data: str) -> None:
        self._events += 1
        number = _NUMBER[kind]
        payload = f'{_HEADS[number]}{self._events}{_MIDDLE}{self._events}","data":{{{data}}}}}'
        self.told.append((number, payload, task))

    def _ask(self, number: int) -> Asked:
        domain = next(self._domains)
        model = self._crowd.models_of[domain][next(self._picks[domain][0])]
        text, token = self._word(), int(self._chance.random() < 0.7)
        price, difficulty = 1_000_000 + self._chance.randrange(10**6), self._chance.choice(DIFFICULTIES)
        task = Asked(number, bytes.fromhex(text[2:]), text, domain, model, token, price, difficulty)
        self.asked.append(task)
        data = (
            f'"task":"{text}","domain":"{self._texts[self._crowd.domains[domain]]}","model":"{self._texts[model]}",'
            f'"version":1,"consumer_hash":"{self._word()}","price":"{price}","asset":"{self._asset(task)}",'
            f'"difficulty_ppm":{difficulty},"input_hash":"{self._word()}"'
        )
        self._tell(said.TASK_CREATED, text, data)
        if self.is_odd(task, 3):
            self.meant.refusals += 1
            self._tell(said.TASK_CREATED, text, data)
        return task

    def _asset(self, task: Asked) -> str:
        return to_hex(self._tokens[task.token])

    def _assign(self, task: Asked, attempt: int) -> list[bytes]:
        """Give an attempt to two miners of the domain, with what is known of each."""
        nodes = self._several(self._crowd.miners_of[task.domain], self._picks[task.domain][1], 2)
        for slot, node in enumerate(nodes, 1):
            trust = self._trust[node]
            if slot == attempt == 1 and self.is_odd(task, 7) and trust < PPM:
                self.meant.differences += 1
                trust += 1
            known = f'"trust_ppm":{trust},"collateral":"{self.collateral[node]}","block_hash":"{self.block_hash}"'
            data = f'{_place(task, attempt, slot)},"node":"{self._texts[node]}",{known}'
            self._tell(said.TASK_ASSIGNED, task.text, data)
        return nodes

    def _try(
        self, task: Asked, attempt: int, wrong: Sequence[int], *, silent: bool
    ) -> Generator[int, None, dict[int, bytes]]:
        """Tell of an attempt up to its consensus; returns the accepted slots and whose they are."""
        nodes = dict(enumerate(self._assign(task, attempt), 1))
        yield self._pause()
        answered = [slot for slot in nodes if not (silent and slot == 2)]
        for slot in answered:
            usage = (
                f'"usage":{{"input_tokens":{self._chance.randrange(4_000)},"output_tokens":{300 + task.number % 700}}}'
            )
            output = f'"output_hash":"{self._word()}","latency_ms":{100 + self._chance.randrange(900)},{usage}'
            data = f'{_place(task, attempt, slot)},"node":"{self._texts[nodes[slot]]}",{output}'
            self._tell(said.OUTPUT_SUBMITTED, task.text, data)
            if slot == attempt == 1 and self.is_odd(task, 11):
                self.meant.refusals += 1
                self._tell(said.OUTPUT_SUBMITTED, task.text, data)
        judges = self._several(self._crowd.validators_of[task.domain], self._picks[task.domain][2], JUDGES)
        deviant = {slot: self._chance.choice(judges) for slot in answered if self._chance.random() < OUT_OF_LINE}
        yield self._pause()
        for judge in judges:
            self._judge(
                task, attempt, judge, {slot: (slot in wrong) != (deviant.get(slot) == judge) for slot in answered}
            )
            if wrong and judge == judges[0] and deviant.get(wrong[0]) != judge and self._chance.random() < REPORTED:
                self._report(task, attempt, wrong[0], nodes[wrong[0]], judge)
            yield 1
        for slot, node in nodes.items():
            verdict = "missing" if slot not in answered else "incorrect" if slot in wrong else "correct"
            self._learn(node, OUTCOME[verdict])
            for judge in judges if slot in answered else ():
                in_line = deviant.get(slot) != judge
                self._learn(judge, "in_line" if in_line else "out_of_line")
                tally = self._tallies.judged[self._crowd.domains[task.domain], judge]
                tally[0] += 1
                tally[1] += in_line
                tally[2] += task.difficulty * in_line
        accepted = [slot for slot in answered if slot not in wrong]
        use = self._use(task)
        use[3] += len(answered)
        use[4] += len(accepted)
        verdict = f'"verdict":"{"approved" if accepted else "rejected"}","accepted":{accepted}'.replace(", ", ",")
        self._tell(said.CONSENSUS_REACHED, task.text, f'"task":"{task.text}","attempt":{attempt},{verdict}')
        return {slot: nodes[slot] for slot in accepted}

    def _judge(self, task: Asked, attempt: int, judge: bytes, against: dict[int, bool]) -> None:
        for slot, is_against in against.items():
            verdict = '"incorrect","score":12' if is_against else '"correct","score":90'
            data = f'"validator":"{self._texts[judge]}","verdict":{verdict},"report_hash":"{self._word()}"'
            self._tell(said.VALIDATION_SUBMITTED, task.text, f"{_place(task, attempt, slot)},{data}")

    def _report(self, task: Asked, attempt: int, slot: int, node: bytes, judge: bytes) -> None:
        who = f'"node":"{self._texts[node]}","validator":"{self._texts[judge]}"'
        what = f'"severity":{1 + task.number % 3},"evidence_hash":"{self._word()}"'
        self._tell(said.BAD_BEHAVIOUR_REPORTED, task.text, f"{_place(task, attempt, slot)},{who},{what}")

    def _learn(self, node: bytes, outcome: Outcome) -> None:
        found = self._steps[outcome]
        if found.alpha_ppm:
            self._trust[node] = step(self._trust[node], found.alpha_ppm, found.target_ppm)

    def _use(self, task: Asked) -> list[int]:
        return self._tallies.use[self._crowd.domains[task.domain], task.model]

    def _credit(self, task: Asked, nodes: Sequence[bytes], vwus: Sequence[int]) -> None:
        counts, domain = credited(self._rules.work.credit, vwus), self._crowd.domains[task.domain]
        for node, vwu in zip(nodes, counts, strict=True):
            work = self._tallies.work[domain, node]
            work[0] += vwu
            work[1] += vwu * task.difficulty
            work[2] += 1
        use = self._use(task)
        use[0] += 1
        use[1] += sum(counts)
        use[2] += sum(counts) * task.difficulty
        sales = self._tallies.sales[domain, task.model, self._tokens[task.token]]
        sales[0] += 1
        sales[1] += task.price

    def _observe(self, task: Asked) -> None:
        """Now and then, tell of a user's rating, a settlement outside the chain, or a price."""
        of_task = f'"task":"{task.text}"'
        if task.number % RATED_EVERY == 0:
            stars = 1 + self._chance.randrange(5)
            use = self._use(task)
            use[5] += 1
            use[6] += stars
            self._tell(said.USER_FEEDBACK, task.text, f'{of_task},"rating":{stars},"comment_hash":"{self._word()}"')
        if task.number % SETTLED_EVERY == 1:
            paid = f'"asset":"{self._asset(task)}","amount":"{task.price}","processor":"{self._asset(task)}"'
            self._tell(said.PAYMENT_PROCESSOR_SETTLED, task.text, f"{of_task},{paid}")
        if task.number % PRICED_EVERY == 2:
            price = f'"fiat":"USD","price_ppm":"{1_000_000 + task.price}","source":"benchmark"'
            self._tell(said.PRICE_OBSERVED, None, f'"asset":"{to_hex(self._tokens[0])}",{price}')

    def _several(self, nodes: Sequence[bytes], picks: Iterator[int], count: int) -> list[bytes]:
        found: dict[bytes, None] = {}
        while len(found) < count:
            found[nodes[next(picks)]] = None
        return list(found)


def _place(task: Asked, attempt: int, slot: int) -> str:
    return f'"task":"{task.text}","attempt":{attempt},"slot":{slot}'

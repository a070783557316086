"""The life of a task: paid, given to two nodes, answered, validated, and then settled, tried again or refunded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from eth_abi.abi import encode
from eth_utils.conversions import to_hex
from eth_utils.crypto import keccak

from deepnode_indexer.devnet import cast_of_accounts as cast
from deepnode_indexer.devnet.population import DN, USDC, Model, Node, Population, Turn
from deepnode_indexer.devnet.trust import PPM, Lesson, Step
from deepnode_indexer.devnet.workbook import Credit, Judgement, Rating, Workbook

SLOTS = 2
_VALIDATORS_PER_OUTPUT = 3
_ATTEMPTS_MAX = 2
_UP = Step(PPM, 50_000)
_DOWN = Step(0, 50_000)
"""The step that each outcome lets trust take."""

_VWU = 1_000
_CHEATS_IN_PERCENT = 40


@dataclass(slots=True)
class Task:
    """A task in flight. `nodes` are those of the current attempt, slot 1 first."""

    id: bytes
    model: Model
    consumer: int
    asset: str
    price: int
    difficulty_ppm: int
    attempt: int = 1
    nodes: list[Node] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The id as events write it."""
        return to_hex(self.id)


class Inference:
    """All tasks in flight. Each is at one stage, and takes one step at a time."""

    def __init__(
        self,
        population: Population,
        rng: Random,
        workbook: Workbook,
        accuse: Callable[[Turn, Node, bytes, int], None],
    ) -> None:
        self._population = population
        self._workbook = workbook
        self._rng = rng
        self._accuse = accuse
        self._tasks_made = 0
        self._waiting: list[tuple[Callable[[Turn, Task], None], Task]] = []

    def take_turn(self, turn: Turn, *, is_quiet: bool = False) -> None:
        """Move every task in flight by one stage, and let consumers ask for a few more.

        In a quiet block nothing is said that counts in an epoch: those tasks wait.
        """
        moving, self._waiting = self._waiting, []
        for stage, task in moving:
            if is_quiet and stage in (self._validate, self._look_back):
                self._waiting.append((stage, task))
            else:
                stage(turn, task)
        for _ in range(self._rng.randrange(1, self._population.cast.tasks_per_block_max + 1)):
            self._create(turn)

    def _create(self, turn: Turn) -> None:
        rng = self._rng
        models = [model for model in self._population.models if not model.resume_at]
        if not models:
            return
        asset, model = rng.choice((DN, USDC)), rng.choice(models)
        is_dusty = model.domain == self._population.cast.dusty_domain
        if is_dusty and rng.randrange(10) < 9:
            asset = USDC
        self._tasks_made += 1
        task = Task(
            id=self._population.identity("task", self._tasks_made),
            model=model,
            consumer=rng.choice(self._population.cast.consumers),
            asset=asset,
            price=self._price(asset, dust_in_ten=10 if is_dusty else 6),
            difficulty_ppm=rng.randrange(500_000, 2_000_001),
        )
        turn.call(
            task.consumer,
            *("RevenueRouter", "pay", task.model.id, self._population.addresses[asset], task.price, task.id),
        )
        turn.say(
            "TaskCreated",
            task=task.name,
            domain=to_hex(self._population.domains[task.model.domain]),
            model=to_hex(task.model.id),
            version=task.model.version,
            consumer_hash=to_hex(keccak(text=self._population.accounts[task.consumer])),
            price=str(task.price),
            asset=self._population.addresses[asset],
            difficulty_ppm=task.difficulty_ppm,
            input_hash=to_hex(keccak(b"input" + task.id)),
        )
        self._waiting.append((self._assign, task))

    def _price(self, asset: str, dust_in_ten: int) -> int:
        if asset == DN:
            return self._rng.randrange(10**16, 5 * 10**18)
        # Most payments are dust: a floor on each would swallow a leg of one per cent whole.
        return (
            self._rng.randrange(1, 51)
            if self._rng.randrange(10) < dust_in_ten
            else self._rng.randrange(10_000, 5_000_000)
        )

    def _assign(self, turn: Turn, task: Task) -> None:
        task.nodes = self._rng.sample(self._population.miners(task.model.domain), SLOTS)
        for slot, node in enumerate(task.nodes, 1):
            self._give(turn, task, slot, node)
        self._waiting.append((self._answer, task))

    def _give(self, turn: Turn, task: Task, slot: int, node: Node) -> None:
        """Give a node a slot. How far it is trusted, and what stands behind it, is known once the block is there."""
        turn.assigned.append(node)
        turn.say(
            "TaskAssigned",
            task=task.name,
            attempt=task.attempt,
            slot=slot,
            node=to_hex(node.id),
            trust_ppm=lambda: node.trust_ppm,
            collateral=lambda: str(node.collateral),
            block_hash=lambda: turn.block_hash,
        )

    def _answer(self, turn: Turn, task: Task) -> None:
        if self._rng.randrange(100) < 3:
            turn.say("TaskExpired", task=task.name, attempt=task.attempt)
            self._waiting.append((self._refund, task))
            return
        for slot, node in enumerate(task.nodes, 1):
            turn.say(
                "OutputSubmitted",
                task=task.name,
                attempt=task.attempt,
                slot=slot,
                node=to_hex(node.id),
                output_hash=to_hex(keccak(task.id + bytes([task.attempt, slot]))),
                latency_ms=self._rng.randrange(40, 3_000),
                usage={"input_tokens": self._rng.randrange(1, 4_000), "output_tokens": self._rng.randrange(1, 2_000)},
            )
        self._waiting.append((self._validate, task))

    def _validate(self, turn: Turn, task: Task) -> None:
        luck = self._rng.randrange(100)
        # Six tasks in a hundred fail at both nodes, ten at one of them.
        correct = [luck >= 6, luck >= 16]
        self._rng.shuffle(correct)
        correct = [each and not self._cheats(node) for each, node in zip(correct, task.nodes, strict=True)]
        lessons: list[Lesson] = []
        for slot, (node, is_correct) in enumerate(zip(task.nodes, correct, strict=True), 1):
            validators = self._check_output(turn, task, slot, is_correct, lessons)
            lessons.append(Lesson(node.trust, _UP if is_correct else _DOWN))
            if not is_correct:
                self._report(turn, task, slot, node, validators[0])
        verdict = "approved" if any(correct) else "rejected"
        accepted = [slot for slot, is_correct in enumerate(correct, 1) if is_correct]
        turn.say(
            "ConsensusReached",
            *lessons,
            task=task.name,
            attempt=task.attempt,
            verdict=verdict,
            accepted=accepted,
        )
        if accepted:
            for slot in accepted:
                turn.say(
                    "VWUAssigned",
                    task=task.name,
                    attempt=task.attempt,
                    slot=slot,
                    node=to_hex(task.nodes[slot - 1].id),
                    vwu=_VWU,
                    difficulty_ppm=task.difficulty_ppm,
                )
            nodes = tuple(task.nodes[slot - 1].id for slot in accepted)
            self._workbook.write(Credit(task.model.domain, task.model.id, task.difficulty_ppm, nodes, _VWU))
            self._waiting.append((self._settle, task))
        elif task.attempt < _ATTEMPTS_MAX and self._rng.randrange(10) < 7:
            turn.say("TaskReassigned", task=task.name, attempt=task.attempt, next_attempt=task.attempt + 1)
            task.attempt += 1
            self._waiting.append((self._assign, task))
        else:
            turn.say("TaskRejected", task=task.name, attempt=task.attempt)
            self._waiting.append((self._refund, task))

    def _check_output(self, turn: Turn, task: Task, slot: int, is_correct: bool, lessons: list[Lesson]) -> list[Node]:
        validators = self._rng.sample(self._population.validators(task.model.domain), _VALIDATORS_PER_OUTPUT)
        # At most one of three is out of line, so that the majority is always right here.
        dissenter = validators[-1] if self._rng.randrange(100) < 5 or self._cheats(validators[-1]) else None
        for validator in validators:
            says_correct = is_correct != (validator is dissenter)
            lessons.append(Lesson(validator.trust, _DOWN if validator is dissenter else _UP))
            turn.say(
                "ValidationSubmitted",
                task=task.name,
                attempt=task.attempt,
                slot=slot,
                validator=to_hex(validator.id),
                verdict="correct" if says_correct else "incorrect",
                score=self._rng.randrange(70, 101) if says_correct else self._rng.randrange(40),
                report_hash=to_hex(keccak(task.id + validator.id + bytes([task.attempt, slot]))),
            )
        in_line = tuple(validator.id for validator in validators if validator is not dissenter)
        self._workbook.write(Judgement(task.model.domain, task.difficulty_ppm, in_line))
        return validators

    def _cheats(self, node: Node) -> bool:
        """Whether a node that cheats does so this time."""
        return node.cheats and self._rng.randrange(100) < _CHEATS_IN_PERCENT

    def _report(self, turn: Turn, task: Task, slot: int, node: Node, validator: Node) -> None:
        severity = self._rng.randrange(1, 4)
        turn.say(
            "BadBehaviourReported",
            task=task.name,
            attempt=task.attempt,
            slot=slot,
            node=to_hex(node.id),
            validator=to_hex(validator.id),
            severity=severity,
            evidence_hash=to_hex(keccak(b"evidence" + task.id + node.id)),
        )
        self._accuse(turn, node, task.id, severity)

    def _settle(self, turn: Turn, task: Task) -> None:
        turn.call(cast.SETTLER, "RevenueRouter", "settle", self._receipt(task))
        self._waiting.append((self._look_back, task))

    def _refund(self, turn: Turn, task: Task) -> None:
        turn.call(cast.SETTLER, "RevenueRouter", "refund", self._receipt(task))

    def _look_back(self, turn: Turn, task: Task) -> None:
        if task.asset == USDC and self._rng.randrange(3) == 0:
            turn.say(
                "PaymentProcessorSettled",
                task=task.name,
                asset=self._population.addresses[task.asset],
                amount=str(task.price),
                processor=self._population.accounts[cast.PROCESSOR],
                reference_hash=to_hex(keccak(b"settlement" + task.id)),
            )
        if self._rng.randrange(4) == 0:
            rating = self._rng.randrange(1, 6)
            self._workbook.write(Rating(task.model.domain, task.model.id, rating))
            turn.say(
                "UserFeedback",
                task=task.name,
                rating=rating,
                comment_hash=to_hex(keccak(b"comment" + task.id)),
            )

    def _receipt(self, task: Task) -> bytes:
        types = ["address", "bytes32", "address", "uint256", "bytes32"]
        payer = self._population.accounts[task.consumer]
        asset = self._population.addresses[task.asset]
        return keccak(encode(types, [payer, task.model.id, asset, task.price, task.id]))

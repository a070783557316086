"""Runs fault cases one after another on one log, and plans which ones from the system calls that a path makes."""

import os
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

from typing_extensions import override

from deepnode_ledger.database import parse_url
from deepnode_ledger.transparency import Signer
from tests.faults.crashing_server import CrashingServer
from tests.faults.fault_scenes import PATHS, anything
from tests.faults.fault_verdict import Judge
from tests.faults.forked_worker import Done, Job, Message, Ready, Worker, Workers
from tests.faults.log_calls import Desk, Place
from tests.faults.strace_injection import FAULTS_OF, KILL, WITHIN_THE_PROCESS, Fault, Injection, Trace, traced

CASES_A_LOG: Final = {"append": 12, "seal": 16, "publish": 5}
"""After so many cases a new log is begun: reading all of it after each case takes its time, as does making one."""

OURS: Final = {"worker", "backend"}
"""The processes that do what we call, and end with it."""

MISSES_MAX: Final = 3

KILLS: Final = 48
"""Kills at random moments, besides the cases at system calls."""

VICTIMS: Final = {"worker": 8, "backend": 4, "checkpointer": 1, "walwriter": 1, "server": 1}
"""What is killed at a random moment, and how often beside the others."""

RANDOM_CALLS: Final = 9
DELAY_SECONDS_MAX: Final = 0.008
"""About as long as a call takes."""


@dataclass(frozen=True, slots=True)
class Case:
    """One fault: on which path, in which process, at which system call; ``seed`` makes names and bytes.

    ``str()`` writes it as ``FAULT_CASE`` takes it.
    """

    path: str
    target: str
    injection: Injection
    seed: int

    @override
    def __str__(self) -> str:
        call = self.injection
        return f"{self.path}/{self.target}/{call.syscall}/{call.when}/{call.fault}/{self.seed}"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many cases were run, and how many of them the fault did not reach because a run took another way."""

    path: str
    target: str
    ran: Counter[tuple[str, Fault]]
    missed: int

    @property
    def total(self) -> int:
        """All cases whose fault was injected."""
        return self.ran.total()


class Runner:
    """Runs cases in a server of its own, each followed by the verdict."""

    def __init__(self, server: CrashingServer, workers: Workers, folder: Path) -> None:
        self.server = server
        self.workers = workers
        self.tallies: list[Tally] = []
        self.kills: Counter[str] = Counter()
        self._folder = folder
        self._logs = 0
        self._signer = Signer.generate("faults.example/log").secret_text()

    @contextmanager
    def new_log(self) -> Iterator[Judge]:
        """Begin an empty log; in the end it is read once more, and all its checkpoints compared with the newest."""
        self._logs += 1
        place = Place(self.server.new_database(self._template_name), self._folder / f"log-{self._logs}", self._signer)
        desk = Desk(place)
        try:
            assert desk.publisher.publish() is None
        finally:
            desk.close()
        judge = Judge(place)
        yield judge
        judge.close()
        self.server.drop(place.url)

    @cached_property
    def _template_name(self) -> str:
        """An empty log to copy: to make the tables takes ten times as long."""
        place = Place(self.server.new_database(), self._folder, self._signer)
        desk = Desk(place)
        try:
            desk.create()
        finally:
            desk.close()
        self.server.settle(place.url)
        return str(parse_url(place.url)["dbname"])

    def report(self) -> list[str]:
        """Say how many cases were run, by path, process and fault, and at which system calls."""
        lines = [f"faults: {sum(tally.total for tally in self.tallies)} cases at system calls"]
        for tally in filter(lambda tally: tally.total, self.tallies):
            faults: Counter[str] = Counter()
            for (_, fault), times in tally.ran.items():
                faults[fault] += times
            kinds = len({syscall for syscall, _ in tally.ran})
            by_fault = ", ".join(f"{fault} {times}" for fault, times in sorted(faults.items()))
            lines.append(f"  {tally.path} in the {tally.target}: {tally.total} ({by_fault}) at {kinds} kinds of call")
        if not self.kills:
            return lines
        victims = ", ".join(f"{victim} {times}" for victim, times in sorted(self.kills.items()))
        lines.append(f"faults: {self.kills.total()} kills at random moments ({victims})")
        return lines

    def run(self, path: str, target: str, *, seed: int, cases: int) -> Tally:
        """Run that many cases, or more if the first, middle and last calls of each kind are more."""
        rng = Random(f"{path} {target} {seed}")
        certain, others = self._planned(path, target, rng)
        ran: Counter[tuple[str, Fault]] = Counter()
        missed = 0
        waiting = deque([*certain, *others])
        optional = len(others)

        def is_enough() -> bool:
            return len(waiting) <= optional and ran.total() >= cases

        while waiting and not is_enough():
            with self.new_log() as judge:
                for _ in range(CASES_A_LOG[path]):
                    if not waiting or is_enough():
                        break
                    case = waiting.popleft()
                    if self._hit(judge, case):
                        ran[case.injection.syscall, case.injection.fault] += 1
                    else:
                        missed += 1
        tally = Tally(path, target, ran, missed)
        self.tallies.append(tally)
        return tally

    def kill(self, judge: Judge, rng: Random, name: str) -> None:
        """Let a worker make calls of every kind, and kill something at a random moment; ``name`` is for a failure."""
        calls = anything(judge.state, rng, RANDOM_CALLS)
        victim = rng.choices(list(VICTIMS), list(VICTIMS.values()))[0]
        acknowledged = rng.randrange(RANDOM_CALLS)
        delay_seconds = rng.uniform(0, DELAY_SECONDS_MAX)
        job = Job(judge.place, (), calls)
        messages: list[Message] = []
        with self._explained(f"{name} ({victim} after {acknowledged} calls and {delay_seconds} s)"):
            with self.workers.worker(job) as worker:
                backend = _listen_until_ready(worker, messages)
                worker.go()
                messages += islice(worker.messages(), acknowledged)
                time.sleep(delay_seconds)
                match victim:
                    case "worker":
                        worker.signal(signal.SIGKILL)
                    case "backend":
                        self.server.kill(backend)
                    case "server":
                        self.server.kill_everything()
                    case _:
                        self.server.kill(self.server.process_of(victim))
                messages += worker.messages()
            self.server.settle(judge.place.url)
            judge.judge(job, messages, rng)
        self.kills[victim] += 1

    def _planned(self, path: str, target: str, rng: Random) -> tuple[list[Case], list[Case]]:
        """Count the path's calls, or take the case that is named; return those that must be run and those that may."""
        named = _named(path, target)
        if named is not None:
            return named, []
        with self.new_log() as judge:
            self._once(judge, path, target, None, 0)
            counts = self._once(judge, path, target, None, 0).counts
        assert counts, f"{path} in the {target} makes no system call"
        certain, others = plan(counts)
        if target not in OURS:
            # How often a process of the server calls what depends on when it is woken.
            others += certain
            certain = []
        rng.shuffle(others)

        def case(injection: Injection) -> Case:
            return Case(path, target, injection, rng.randrange(10**6))

        return [case(each) for each in certain], [case(each) for each in others]

    def _hit(self, judge: Judge, case: Case) -> bool:
        """Run a case; where a thread made fewer calls than before, try an earlier one."""
        for _ in range(MISSES_MAX):
            if self._once(judge, case.path, case.target, case.injection, case.seed).was_hit:
                return True
            # By one where runs are alike, by more where they are not.
            earlier = max(1, case.injection.when - (1 if case.target in OURS else case.injection.when // 2))
            case = replace(case, injection=replace(case.injection, when=earlier))
        return False

    def _once(self, judge: Judge, path: str, target: str, injection: Injection | None, seed: int) -> Trace:
        rng = Random(seed)
        prepare, calls = PATHS[path](judge.state, rng)
        # Some go on as our services do, and others leave the rest to the fresh writer.
        persistent = rng.random() < (0.8 if target == "worker" else 0.3)
        job = Job(judge.place, prepare, calls, persistent, publisher_is_open=target == "backend" and path == "publish")
        messages: list[Message] = []
        case = "the counting run" if injection is None else f"FAULT_CASE={Case(path, target, injection, seed)}"
        with self._explained(case):
            with self.workers.worker(job) as worker:
                backend = _listen_until_ready(worker, messages)
                pid = {"worker": worker.pid, "backend": backend}.get(target) or self.server.process_of(target)
                lives_on = target not in OURS
                with traced(pid, injection, lives_on=lives_on) as trace:
                    worker.go()
                    if lives_on:
                        self.server.checkpoint()
                    messages += worker.messages()
            if injection is None:
                assert isinstance(messages[-1], Done), messages[-1]
            self.server.settle(judge.place.url)
            judge.judge(job, messages, rng)
        return trace

    @contextmanager
    def _explained(self, case: str) -> Iterator[None]:
        """Name the case when it fails, with what the server had to say."""
        try:
            yield
        except BaseException:
            sys.stderr.write(f"\n{case} failed. The server's log ends with:\n{self.server.said()}\n")
            raise


def plan(counts: dict[str, int]) -> tuple[list[Injection], list[Injection]]:
    """Return every fault there is: those at the first, the middle and the last call of each kind, and all others.

    Of the kinds that touch no file and no connection, one call stands for all in the first part.
    """
    certain: list[Injection] = []
    others: list[Injection] = []
    for syscall, times in sorted(counts.items()):
        for fault in faults_of(syscall):
            middle = (times + 1) // 2
            chosen = {middle} if syscall in WITHIN_THE_PROCESS else {1, middle, times}
            for when in range(1, times + 1):
                (certain if when in chosen else others).append(Injection(syscall, when, fault))
    return certain, others


def faults_of(syscall: str) -> Sequence[Fault]:
    """Return what can happen at a system call: a kill at any, an error where the kernel gives it."""
    return [*(fault for fault, syscalls in FAULTS_OF.items() if syscall in syscalls), KILL]


def _listen_until_ready(worker: Worker, messages: list[Message]) -> int:
    for message in worker.messages():
        messages.append(message)
        if isinstance(message, Ready):
            return message.backend
    raise AssertionError(f"a worker died before it was faulted: {messages}")


def _named(path: str, target: str) -> list[Case] | None:
    """The case that FAULT_CASE names, if it is one of this path and target; none if it is another's."""
    named = os.environ.get("FAULT_CASE")
    if named is None:
        return None
    own_path, own_target, syscall, when, fault, seed = named.split("/")
    if (own_path, own_target) != (path, target):
        return []
    errors: dict[str, Fault] = {"EIO": "EIO", "ENOSPC": "ENOSPC", "KILL": "KILL"}
    return [Case(path, target, Injection(syscall, int(when), errors[fault]), int(seed))]

"""Scenes for the fault tests: what a worker is asked to do, made from what the log holds and a seed.

The same path has the same calls with the same sizes each time, so that the n-th system call of one run is that of the
next; only names and bytes differ.
"""

from collections.abc import Sequence
from random import Random
from typing import Final

from deepnode_ledger.record import Block, BlockRef, ChainLog, Header, TaskEvent
from deepnode_ledger.transparency.tile import WIDTH
from tests.faults.log_calls import Accept, AppendFinalized, Call, Extend, LogState, Publish, Seal
from tests.ledger.histories import FIRST_BLOCK, chain_log, ref, task

LARGE_BYTES: Final = 9_000
"""Data of this length is kept out of line by the database, which is a path of its own."""


class Playwright:
    """Writes calls that follow one another, from what the log holds when the first of them is made."""

    def __init__(self, state: LogState, rng: Random) -> None:
        self.state = state
        self._rng = rng
        self.calls: list[Call] = []

    def take(self) -> tuple[Call, ...]:
        """Return the calls written since the last time."""
        taken = tuple(self.calls)
        self.calls.clear()
        return taken

    def extend(self, blocks: int, logs: int, *, depth: int = 0) -> None:
        """Put blocks behind the one that is ``depth`` below the tip."""
        headers = self.state.headers
        kept = headers[-1 - depth].block if headers else None
        self._add(Extend(kept, tuple(self._blocks(kept, blocks, logs))))

    def accept(self, new: int, *, known: int = 0) -> None:
        """Hand in events: some that are known, and new ones."""
        held = [record for _, record in self.state.entries if isinstance(record, TaskEvent)]
        fresh = [self._task(len(held) + 1 + n) for n in range(new)]
        self._add(Accept((*held[len(held) - known :], *fresh)))

    def append_finalized(self, blocks: int, logs: int) -> None:
        """Put a range of final blocks behind the tip."""
        tip = self.state.tip if self.state.headers else None
        self._add(AppendFinalized(tuple(self._blocks(tip, blocks, logs))))

    def seal(self, *, depth: int = 0) -> None:
        """Make final what is ``depth`` below the tip."""
        self._add(Seal(self.state.headers[-1 - depth].block))

    def publish(self) -> None:
        """Do a round of the publisher."""
        self._add(Publish())

    def anything(self) -> None:
        """Write one call of any kind that the log would not refuse."""
        depth_max = len(self.state.headers) - 1
        kinds = ["extend", "accept", "seal", "publish"] + (["reorg"] if depth_max > 0 else []) + ["finalized"]
        match self._rng.choices(kinds, [6, 6, 4, 4, 3, 1][: len(kinds)])[0]:
            case "extend":
                self.extend(self._rng.randint(1, 3), self._rng.randint(0, 3))
            case "accept":
                self.accept(self._rng.randint(1, 4), known=self._rng.randint(0, 2))
            case "seal":
                self.seal(depth=self._rng.randint(0, depth_max))
            case "publish":
                self.publish()
            case "reorg":
                self.extend(self._rng.randint(0, 3), self._rng.randint(0, 3), depth=self._rng.randint(1, depth_max))
            case _:
                self.append_finalized(self._rng.randint(1, 3), self._rng.randint(0, 20))

    def _add(self, call: Call) -> None:
        self.calls.append(call)
        self.state = call.after(self.state)

    def _blocks(self, parent: BlockRef | None, count: int, logs: int) -> Sequence[Block]:
        branch = self._rng.randbytes(8).hex()
        blocks: list[Block] = []
        for _ in range(count):
            number = FIRST_BLOCK if parent is None else parent.number + 1
            own = ref(number, branch)
            header = Header(own, ref(number - 1, branch).hash if parent is None else parent.hash)
            blocks.append(Block(header, tuple(self._log(own, index) for index in range(logs))))
            parent = own
        return blocks

    def _log(self, block: BlockRef, index: int) -> ChainLog:
        return chain_log(block, index, self._rng.randbytes(LARGE_BYTES if index == 1 else 40))

    def _task(self, number: int) -> TaskEvent:
        return task(number, payload=b'{"data":{"task":"%s"}}' % self._rng.randbytes(20).hex().encode())


def begin(play: Playwright) -> None:
    """Cover the first block, if none is."""
    if not play.state.headers:
        play.extend(1, 1)


def append(state: LogState, rng: Random) -> tuple[tuple[Call, ...], tuple[Call, ...]]:
    """Every way to append: the tail, task events old and new, a reorg that moves some, a range of final blocks."""
    play = Playwright(state, rng)
    begin(play)
    prepare = play.take()
    play.accept(2)
    play.extend(2, 2)
    play.accept(1, known=1)
    play.extend(2, 1, depth=1)
    play.append_finalized(2, 2)
    return prepare, play.take()


def seal(state: LogState, rng: Random) -> tuple[tuple[Call, ...], tuple[Call, ...]]:
    """Seal a part of the tail, then the rest."""
    play = Playwright(state, rng)
    begin(play)
    play.extend(4, 2)
    play.accept(2)
    prepare = play.take()
    play.seal(depth=2)
    play.seal()
    return prepare, play.take()


def publish(state: LogState, rng: Random) -> tuple[tuple[Call, ...], tuple[Call, ...]]:
    """Publish a part of a tile, then the rest of it, so that the partial files go."""
    play = Playwright(state, rng)
    play.append_finalized(2, (WIDTH - 4) // 2)
    prepare = play.take()
    play.publish()
    play.append_finalized(1, 4)
    play.publish()
    return prepare, play.take()


def anything(state: LogState, rng: Random, count: int) -> tuple[Call, ...]:
    """Calls of every kind, by chance; the first covers a block if none is."""
    play = Playwright(state, rng)
    begin(play)
    while len(play.calls) < count:
        play.anything()
    return play.take()


PATHS: Final = {"append": append, "seal": seal, "publish": publish}

"""Runs of a small history with a slip planted in the text of a module: by the kernel, and by the rules.

The kernel is not compiled here (``NUMBA_DISABLE_JIT``): compiling it anew for each slip would take minutes. One process
loads everything once and tells the history, and each slip is planted in a copy of that process, which loads the modules
again, one of them with another text. Run as a program it reads slips from its input, and writes what showed each.
"""

import importlib
import json
import multiprocessing
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pyarrow as pa
from typing_extensions import override

from deepnode_ledger.batch import entries
from deepnode_ledger.record import Finality, LogEntry
from tests.projections.kernel.mixed_history import MixedHistory, batch_of
from tests.projections.rules.told import MANIFEST

ROOM: Final = "deepnode_projections"
KERNEL: Final = f"{ROOM}.kernel"

SEED: Final = 5
ENTRIES: Final = 1_500
PROCESSES: Final = 2

Outcome = Mapping[str, Any]
"""What a replay has come to, part by part: plain values, which modules that are loaded again have no say in."""


@dataclass(frozen=True, slots=True)
class Slip:
    """In the text of ``module`` (of ``deepnode_projections``), ``right`` stands once; ``wrong`` takes its place."""

    module: str
    right: str
    wrong: str


class _Planted(MetaPathFinder, Loader):
    """Finds one module, and loads it with a slip in its text."""

    def __init__(self, slip: Slip) -> None:
        self._slip = slip
        self._name = f"{ROOM}.{slip.module}"

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        found = PathFinder.find_spec(fullname, path) if fullname == self._name else None
        return None if found is None else ModuleSpec(fullname, self, origin=found.origin)

    @override
    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        assert module.__spec__.origin is not None
        text = Path(module.__spec__.origin).read_text(encoding="utf-8")
        assert text.count(self._slip.right) == 1, self._slip
        code = compile(text.replace(self._slip.right, self._slip.wrong), module.__spec__.origin, "exec")
        exec(code, vars(module))


def plant(slip: Slip) -> None:
    """Forget the modules of the slip's side, so that they are loaded again, one of them with the slip."""
    side = KERNEL if slip.module.startswith("kernel.") else ROOM
    for name in [each for each in sys.modules if each == side or each.startswith(f"{side}.")]:
        del sys.modules[name]
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            vars(sys.modules[parent]).pop(child, None)
    sys.meta_path.insert(0, _Planted(slip))


def outcome_of(feed: Callable[[Any], Any], **options: Any) -> tuple[Outcome, Callable[[], bytes]]:
    """Replay by what is loaded now; return what it comes to, and what makes the state root at its end."""
    replaying = importlib.import_module(f"{ROOM}.replay.replaying")
    book = importlib.import_module(f"{ROOM}.rules.book")
    root = replaying.Replay.root
    # A root at each epoch's end would take longer than all the rest, where nothing is compiled.
    rootless = type("Rootless", (replaying.Replay,), {"root": lambda _: b""})
    replay = rootless(MANIFEST, **options)
    fed = feed(replay)
    told: dict[str, Any] = {
        "refusals": [(each.position, each.kind, each.source, each.reason) for each in fed.refused],
        "epochs": [(each.epoch, each.position) for each in fed.ended],
        "balances": sorted((name, asset, held) for (name, asset), held in replay.balances.items() if held),
    }
    told |= {kind.TABLE: [repr(each) for each in replay.records(kind)] for kind in book.RECORDS}
    return told, partial(root, replay)


def differing(slip: Slip, history: "History") -> list[str]:
    """Replay with a slip, and say in which parts that differs; what stops it is one, too."""
    plant(slip)
    try:
        is_kernel = slip.module.startswith("kernel.")
        return history.parts(*(history.by_kernel() if is_kernel else history.by_rules()))
    except AssertionError as stopped:
        return [f"stopped: {stopped}"]


class History:
    """The history, as entries and decoded, and what it comes to: ``right``, by the rules, and ``root``."""

    def __init__(self) -> None:
        self._batch: pa.RecordBatch = batch_of(MixedHistory(SEED, errs=0.03, wide=0.02).events(ENTRIES))
        self._entries: list[LogEntry] = list(entries(self._batch, Finality.SEALED))
        decoding = importlib.import_module(f"{KERNEL}.decoding")
        roster = importlib.import_module("deepnode_ledger.roster")
        self._decoded = decoding.decode_batch(self._batch, roster.Roster(MANIFEST), ())
        self.right, root = self.by_rules()
        self.root = root()

    def parts(self, told: Outcome, root: Callable[[], bytes]) -> list[str]:
        """Say which parts are not as they are to be; the root is made where all others are."""
        found = [part for part, right in self.right.items() if told[part] != right]
        return found or ["root"] * (root() != self.root)

    def by_rules(self) -> tuple[Outcome, Callable[[], bytes]]:
        """Replay by the specification."""
        return outcome_of(lambda replay: replay.feed(self._batch), by_definition=True)

    def by_kernel(self) -> tuple[Outcome, Callable[[], bytes]]:
        """Replay by the kernel, from what was decoded."""
        return outcome_of(lambda replay: replay.feed_decoded(self._decoded, self._entries.__getitem__))


@cache
def history() -> History:
    """Return the history, which is made once: every copy of the process has it."""
    return History()


def shown(slip: Slip | None) -> list[str]:
    """Say in which parts a slip shows; None is no slip at all."""
    if slip is not None:
        return differing(slip, history())
    return history().parts(*history().by_kernel())


def main() -> None:
    """Show slips; the first line of the answer is of no slip at all."""
    # Whole numbers that are to be cut off at 64 bits are, here as when they are compiled.
    warnings.simplefilter("ignore", RuntimeWarning)
    history()
    slips = [None, *(Slip(*each) for each in json.load(sys.stdin))]
    with multiprocessing.get_context("fork").Pool(PROCESSES, maxtasksperchild=1) as pool:
        json.dump(pool.map(shown, slips, chunksize=1), sys.stdout)


if __name__ == "__main__":
    main()

"""Draws: whether a fault strikes, from the seed and the question, and from nothing else.

Clients ask with many threads. If the draws came from one stream, the faults that a seed stands for would depend on
which thread was first; as it is, the same questions meet the same faults in every run.
"""

import hashlib
import threading
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from typing import Final

from deepnode_indexer.devnet.faults.fault import Fault

RECENT_MAX: Final = 1_000
SUBJECTS_MAX: Final = 200_000
"""Subjects whose draws are remembered; of more than that, the oldest count as never met."""

_SUBJECT_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Dealt:
    """One fault that was dealt out: its kind, and what it hit."""

    kind: str
    subject: str


class Tally:
    """What was dealt, over all profiles. Safe among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._dealt: Counter[str] = Counter()
        self._recent: deque[Dealt] = deque(maxlen=RECENT_MAX)

    def add(self, kind: str, subject: str) -> None:
        """Count one fault."""
        with self._lock:
            self._dealt[kind] += 1
            self._recent.append(Dealt(kind, subject[:_SUBJECT_SHOWN]))

    def dealt(self) -> Counter[str]:
        """Return how many faults of each kind were dealt."""
        with self._lock:
            return Counter(self._dealt)

    def recent(self) -> list[Dealt]:
        """Return the newest faults, the newest last."""
        with self._lock:
            return list(self._recent)


class Draws:
    """The draws of one profile under one seed. Safe among threads."""

    def __init__(self, seed: int, tally: Tally) -> None:
        self._seed = seed
        self._tally = tally
        self._lock = threading.Lock()
        self._asked: OrderedDict[bytes, int] = OrderedDict()
        self._struck: Counter[int] = Counter()

    def strikes(self, place: int, fault: Fault, subject: str) -> bool:
        """Draw whether the fault, the profile's ``place``-th, hits the subject now; count it if it does."""
        nth = self.asked(place, subject)
        if fault.when == "once" and nth > 0:
            return False
        drawn = self.share(place, subject, nth if fault.when == "sometimes" else 0)
        return drawn < fault.chance and self.deal(place, fault, subject)

    def deal(self, place: int, fault: Fault, subject: str) -> bool:
        """Count that the fault hits the subject, or say False if it was dealt as often as it may."""
        with self._lock:
            if fault.times is not None and self._struck[place] >= fault.times:
                return False
            self._struck[place] += 1
        self._tally.add(fault.kind, subject)
        return True

    def asked(self, place: int, subject: str) -> int:
        """Return how often this was called before with the same arguments."""
        # A hash, because the question of a batch may be long, and many are remembered.
        key = hashlib.blake2b(f"{place}\0{subject}".encode(), digest_size=16).digest()
        with self._lock:
            nth = self._asked.pop(key, 0)
            self._asked[key] = nth + 1
            if len(self._asked) > SUBJECTS_MAX:
                self._asked.popitem(last=False)
            return nth

    def share(self, *key: object) -> float:
        """Return a number from 0 to below 1 that the seed and the key alone decide."""
        text = "\0".join(map(str, (self._seed, *key)))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest()) / 2**56

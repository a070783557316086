"""Trays: memory that things are unpacked into, used again for the next when nobody looks at it any more.

A batch is unpacked to tens of megabytes. Memory that is fresh from the system is cleared page by page when it is first
touched, which takes longer than unpacking. Nobody has to give a tray back: it is free as soon as nothing that was made
of it is there any more, and as long as anything is, it is not used for anything else.
"""

import threading
import weakref

import numpy as np
import numpy.typing as npt

Octets = npt.NDArray[np.uint8]


class Trays:
    """As many trays as are looked at at once, kept until this itself goes. Several threads may ask at once."""

    def __init__(self) -> None:
        self._trays: list[tuple[Octets, weakref.ref[Octets]]] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many trays there are."""
        return len(self._trays)

    def lend(self, size_bytes: int) -> Octets:
        """Return so many bytes of memory, in which anything may stand.

        They are the caller's as long as the array, a view of it or an Arrow buffer over it is there.
        """
        with self._lock:
            free = [number for number, (_, lent) in enumerate(self._trays) if lent() is None]
            large = next((number for number in free if len(self._trays[number][0]) >= size_bytes), None)
            if large is None:
                # The next may be somewhat larger.
                tray = np.empty(size_bytes + size_bytes // 8, np.uint8)
                # One that turned out to be too small makes place for one that is not.
                for number in free[:1]:
                    del self._trays[number]
            else:
                tray, _ = self._trays.pop(large)
            # A view of an array refers to the array at the bottom: between the tray and what is lent there must be
            # something that is none, or a view of a view would keep the tray alone, and not what is looked at here.
            lent: Octets = np.frombuffer(tray.data[:size_bytes], np.uint8)
            self._trays.append((tray, weakref.ref(lent)))
            return lent

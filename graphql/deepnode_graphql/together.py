"""Fetching together what a page's rows ask for one by one.

A page of accounts whose balances are asked for costs one query, not one for each account: the first row that asks
fetches for all of them. Nothing is fetched that nobody asks for.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
W = TypeVar("W")


class Together(Generic[K, V]):
    """Values for the keys of one page, fetched all at once at the first look."""

    def __init__(self, keys: Iterable[K], fetch: Callable[[Sequence[K]], Mapping[K, V]]) -> None:
        # In the order of the page and without doubles.
        self._keys = list(dict.fromkeys(keys))
        self._fetch = fetch
        self._found: Mapping[K, V] | None = None

    def get(self, key: K, otherwise: W) -> V | W:
        """Return the value of a key of the page, or ``otherwise`` if there is none."""
        if self._found is None:
            self._found = self._fetch(self._keys)
        return self._found.get(key, otherwise)

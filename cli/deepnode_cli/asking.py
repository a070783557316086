"""Asking side by side: a few questions are under way at once, and the answers come in the order of the questions."""

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

AT_ONCE: Final = 4

Question = TypeVar("Question")
Answer = TypeVar("Answer")


def side_by_side(ask: Callable[[Question], Answer], questions: Iterable[Question]) -> Generator[Answer]:
    """Yield the answers. No more questions are taken than are under way, so there may be any number of them.

    What ``ask`` raises comes out at its question's turn.
    """
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="asking") as pool:
        waiting: deque[Future[Answer]] = deque()
        rest = iter(questions)
        try:
            for question in itertools.islice(rest, AT_ONCE):
                waiting.append(pool.submit(ask, question))
            while waiting:
                yield waiting.popleft().result()
                for question in itertools.islice(rest, 1):
                    waiting.append(pool.submit(ask, question))
        finally:
            for each in waiting:
                each.cancel()

"""The three families of errors, by what the caller does next.

``TryAgain``: nothing is wrong with the request; the same call may succeed later (a provider or a database is away).
``BadInput``: the same call will fail for ever; the message names the value and the rule that it breaks.
A bug of ours is an ``AssertionError``: nobody outside can mend it, so it has no family of its own.
"""


class DeepNodeError(Exception):
    """Every error that this project raises on purpose, other than an assertion."""


class TryAgain(DeepNodeError):
    """A passing fault: the caller waits and makes the same call again. Nothing was changed in part.

    If the database was lost at the very commit, all of it may have been changed; the same call again finds that out.
    """


class BadInput(DeepNodeError):
    """The input breaks a rule: the caller mends it. The message names the value and the rule. Nothing was changed."""


class Damaged(BadInput):
    """Stored bytes are not those that were written: a disk, a hand or a tool changed them. Nothing was changed by us.

    The way out is an undamaged copy: `deepnode log fsck` says what is damaged, `deepnode log restore` brings it back.
    """


class Conflict(BadInput):
    """The key is known and its bytes are others: what is stored stays, what came is refused."""

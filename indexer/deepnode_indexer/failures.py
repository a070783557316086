"""What can go wrong between a node and us, by what to do about it.

All of it is a ``TryAgain``: nothing that a node says or does not say is a fault of the caller's input. The families
tell a pool whether to ask another node, a range whether to become shorter, and a caller how long to wait.
"""

from deepnode_ledger.errors import TryAgain


class NodeFailure(TryAgain):
    """A node did not give a usable answer. The base of all the others: another node may do better."""


class NodeAway(NodeFailure):
    """The node cannot be reached, or answers with an HTTP error."""


class Dropped(NodeAway):
    """The connection broke, or a gateway before the node failed. The same question may be answered at once."""


class TimedOut(NodeAway):
    """The node took longer than we wait. A smaller question may do."""


class RateLimited(NodeAway):
    """The node answers no more for a while; ``retry_after_seconds`` is what it asks for itself, if it does."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class NodeError(NodeFailure):
    """The node answered with a JSON-RPC error: ``code`` and ``message`` are its own."""

    def __init__(self, where: str, method: str, code: int, message: str) -> None:
        super().__init__(f"{where}: {method} failed with {code}: {message:.300}")
        self.code = code
        self.message = message


class RangeRefused(NodeError):
    """The node finds the question too large: too many blocks, logs or bytes, or too slow. A smaller one may do.

    ``suggested`` is the range (both ends included) that the node says would do, ``blocks_max`` the longest that it says
    it takes; None where it says neither.
    """

    def __init__(
        self,
        where: str,
        method: str,
        code: int,
        message: str,
        suggested: tuple[int, int] | None = None,
        blocks_max: int | None = None,
    ) -> None:
        super().__init__(where, method, code, message)
        self.suggested = suggested
        self.blocks_max = blocks_max


class BatchRefused(NodeError):
    """The node takes fewer calls in one request; ``calls_max`` is how many, if it says so."""

    def __init__(self, where: str, method: str, code: int, message: str, calls_max: int | None = None) -> None:
        super().__init__(where, method, code, message)
        self.calls_max = calls_max


class MethodMissing(NodeError):
    """The node does not have this method, or does not serve it to us."""


class BadAnswer(NodeFailure):
    """The node's answer is not what the method promises. Another try, or another node, may do better."""


class AnswerTooLarge(BadAnswer):
    """The node's answer has more bytes than are read, or it says so of the question. A smaller question may do."""

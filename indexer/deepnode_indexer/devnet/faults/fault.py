"""Faults as values: what a node can do to its clients, each by one frozen struct that a TOML file can spell.

Each was seen of real providers, or is what a provider that lies could do. Every fault says how likely it strikes, and
whether for ever: a fault that passes costs a client a retry, one that stays must be noticed or it costs the truth.
"""

import re
from typing import Annotated, Final, Literal

import msgspec

from deepnode_ledger.errors import BadInput

When = Literal["sometimes", "always", "once"]
"""``sometimes`` is drawn at each question anew. ``always`` is drawn once for a subject (a block, a question) and holds
for ever. ``once`` is drawn like that too, but only the first question about the subject is hit."""

Chance = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


def _tag(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag=_tag):
    """What all faults share: strike with ``chance``, ``when`` and at most so many ``times`` (None: without end)."""

    chance: Chance = 1.0
    when: When = "sometimes"
    times: Count | None = None

    @property
    def kind(self) -> str:
        """The fault's name in a profile's file, and in the counts of what was dealt."""
        return str(self.__struct_config__.tag)


class HideLogs(Fault, frozen=True, kw_only=True):
    """Logs are missing, without a word. The subject is a block, by its hash.

    ``blocks``: only of these blocks; ``addresses``: only of these contracts; ``share``: so many of a
    block's logs; ``receipts``: from the receipts too, so that only the block's own hashes give it away.
    """

    blocks: tuple[int, ...] = ()
    addresses: tuple[str, ...] = ()
    share: Chance = 1.0
    receipts: bool = False


class TruncateLogs(Fault, frozen=True, kw_only=True):
    """An answer holds the first ``logs`` logs only, and no error. The subject is the question."""

    logs: Count = 100


class AlterLogs(Fault, frozen=True, kw_only=True):
    """One log of a block is not as it happened: a digit of its ``field`` differs, or it is marked as removed."""

    field: Literal["data", "topics", "address", "transactionHash", "logIndex", "blockHash", "removed"] = "data"


class DisorderLogs(Fault, frozen=True, kw_only=True):
    """The logs of an answer come in reversed order, or the last one comes twice. The subject is the question."""

    order: Literal["reversed", "doubled"] = "reversed"


class WithoutTimes(Fault, frozen=True, kw_only=True):
    """Logs come without ``blockTimestamp``. Nothing is wrong with that: many nodes do not know it."""


class BehindHead(Fault, frozen=True, kw_only=True):
    """A request is answered as by a node that is ``blocks`` blocks behind: no logs and no blocks above its head.

    With ``logs_only`` the blocks are there and their logs are not yet: the emptiest lie, and the most common.
    """

    blocks: Count = 3
    logs_only: bool = False


class StaleBranch(Fault, frozen=True, kw_only=True):
    """After a reorg, up to ``requests`` requests are answered from the branch that was left.

    Its head, blocks, logs and receipts. Reorgs of up to ``depth`` blocks are seen, at the request behind them.
    """

    requests: Count = 20
    depth: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 96


class ChangeMind(Fault, frozen=True, kw_only=True):
    """Every second answer to the same question is another one: logs without the last, a block with another hash."""


class NullBlocks(Fault, frozen=True, kw_only=True):
    """A block that exists is answered by null. The subject is the block, as it was asked for."""


class AlterHeaders(Fault, frozen=True, kw_only=True):
    """A digit of a header's ``field`` differs; a bloom filter becomes empty. The subject is the block, by its hash."""

    field: str = "parentHash"


class AlterReceipts(Fault, frozen=True, kw_only=True):
    """Receipts lie, or are not to be had. The subject is the block, by its hash.

    ``null``: none is known; ``no-method``: the node does not know the question; ``no-logs``: all logs are missing;
    ``omitted``: the last receipt is missing; ``data``: a digit of a log differs; ``status``: failure for success.
    """

    lie: Literal["null", "no-method", "no-logs", "omitted", "data", "status"] = "no-logs"


class MoveFinality(Fault, frozen=True, kw_only=True):
    """``safe`` and ``finalized`` name no block, or one that is ``blocks`` blocks lower."""

    blocks: Count | None = None


class OtherChain(Fault, frozen=True, kw_only=True):
    """The node serves another chain: another id, another genesis block."""

    chain_id: Count = 1


class CapRange(Fault, frozen=True, kw_only=True):
    """A question for the logs of more than ``blocks`` blocks is refused in the words of ``provider``."""

    blocks: Annotated[int, msgspec.Meta(ge=1)] = 2_000
    provider: str = "alchemy"


class CapLogs(Fault, frozen=True, kw_only=True):
    """A question with more than ``logs`` logs for an answer is refused in the words of ``provider``."""

    logs: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    provider: str = "alchemy"


class RateLimit(Fault, frozen=True, kw_only=True):
    """Too many requests: by HTTP 429 (``http``), by an error of a call (``call``), or by one error for a whole batch.

    ``per_second`` calls are let through and the rest is refused, in place of a chance; ``retry_after_seconds`` goes
    into the header Retry-After.
    """

    style: Literal["http", "call", "batch"] = "http"
    retry_after_seconds: Count | None = None
    per_second: Annotated[int, msgspec.Meta(ge=1)] | None = None


class FailCalls(Fault, frozen=True, kw_only=True):
    """Calls of ``methods`` (all, if none is named) fail with a JSON-RPC error. The subject is the question."""

    methods: tuple[str, ...] = ()
    code: int = -32000
    message: str = "header not found"


class FailRequests(Fault, frozen=True, kw_only=True):
    """A request is answered with this HTTP status and body. With status 200, it is an answer that is no JSON-RPC."""

    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 502
    body: str = "<html><body><h1>502 Bad Gateway</h1></body></html>"


class Delay(Fault, frozen=True, kw_only=True):
    """An answer comes between ``seconds_min`` and ``seconds_max`` late."""

    seconds_min: Seconds = 0.0
    seconds_max: Seconds = 0.1


class Cut(Fault, frozen=True, kw_only=True):
    """The connection is closed: ``before`` the node was asked, ``unanswered`` after, inside ``head`` or ``body``."""

    at: Literal["before", "unanswered", "head", "body"] = "body"


class WrongIds(Fault, frozen=True, kw_only=True):
    """The answer's ids are wrong.

    ``shifted``: all are other numbers; ``swapped``: two answers of a batch have changed ids; ``missing``: the last
    answer is not there; ``null``: the first id is null; ``doubled``: the last answer comes twice.
    """

    ids: Literal["shifted", "swapped", "missing", "null", "doubled"] = "shifted"


AnyFault = (
    HideLogs
    | TruncateLogs
    | AlterLogs
    | DisorderLogs
    | WithoutTimes
    | BehindHead
    | StaleBranch
    | ChangeMind
    | NullBlocks
    | AlterHeaders
    | AlterReceipts
    | MoveFinality
    | OtherChain
    | CapRange
    | CapLogs
    | RateLimit
    | FailCalls
    | FailRequests
    | Delay
    | Cut
    | WrongIds
)

KINDS: Final[tuple[type[Fault], ...]] = AnyFault.__args__
"""Every kind of fault there is."""


def checked(fault: Fault) -> Fault:
    """Return the fault if its values are possible.

    Raises:
        BadInput: one is not; the message names it.
    """
    try:
        # A struct's own constructor does not look at values; reading it as if it came from a file does.
        same: Fault = msgspec.convert(msgspec.to_builtins(fault), AnyFault)
    except msgspec.ValidationError as error:
        raise BadInput(f"the fault {fault.kind}: {error}") from error
    return same

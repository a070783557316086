"""Profiles: faults that go together under a name, from this file, from a TOML file, or drawn at random.

```toml
about = "an exchange's node on a bad day"

[[faults]]
kind = "hide-logs"
chance = 0.1
when = "once"

[[faults]]
kind = "cap-range"
blocks = 500
provider = "infura"
```
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from deepnode_indexer.devnet.faults.fault import (
    AlterHeaders,
    AlterLogs,
    AlterReceipts,
    AnyFault,
    BehindHead,
    CapLogs,
    CapRange,
    ChangeMind,
    Cut,
    Delay,
    DisorderLogs,
    FailCalls,
    FailRequests,
    Fault,
    HideLogs,
    MoveFinality,
    NullBlocks,
    OtherChain,
    RateLimit,
    StaleBranch,
    TruncateLogs,
    WithoutTimes,
    WrongIds,
    checked,
)
from deepnode_indexer.devnet.faults.provider_words import (
    LOGS_PROVIDERS,
    RANGE_PROVIDERS,
    too_many_blocks,
    too_many_logs,
)
from deepnode_ledger.errors import BadInput


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Faults that a node has, in the order in which they are tried."""

    name: str = ""
    faults: tuple[AnyFault, ...] = ()
    about: str = ""

    def limited(self, times: int) -> "Profile":
        """Return the same faults, each at most so many times: whoever tries on gets to the truth."""
        limited = [msgspec.structs.replace(fault, times=times) for fault in self.faults]
        return Profile(self.name, tuple(limited), self.about)


HONEST: Final = Profile("honest", (), "the node as it is")


def _own(name: str, about: str, *faults: Any) -> Profile:
    return Profile(name, faults, about)


def _provider(name: str) -> Profile:
    caps: list[Any] = [RateLimit(chance=0.02, style="call")]
    if name in RANGE_PROVIDERS:
        caps.append(CapRange(blocks=500, provider=name))
    if name in LOGS_PROVIDERS:
        caps.append(CapLogs(logs=2_000, provider=name))
    return Profile(name, tuple(caps), f"limits of ranges and results in the words of {name}, and now and then of calls")


_OWN: Final = (
    HONEST,
    _own("slow", "answers come up to half a second late", Delay(seconds_max=0.5)),
    _own(
        "flaky",
        "broken connections and errors of a gateway",
        Cut(at="before", chance=0.03),
        Cut(at="unanswered", chance=0.03),
        Cut(at="head", chance=0.03),
        Cut(at="body", chance=0.03),
        FailRequests(chance=0.03),
        FailRequests(chance=0.03, status=503, body="upstream connect error"),
        Delay(chance=0.05, seconds_max=0.2),
    ),
    _own(
        "rate-limited",
        "too many requests, in every form",
        RateLimit(chance=0.1, retry_after_seconds=1),
        RateLimit(chance=0.05, style="call"),
        RateLimit(chance=0.05, style="batch"),
    ),
    _own("forgetful", "logs are missing now and then; asked again, they are there", HideLogs(chance=0.2, when="once")),
    _own("silent", "the logs of some blocks are missing for ever", HideLogs(chance=0.05, when="always")),
    _own(
        "lagging",
        "some requests go to a node that is behind",
        BehindHead(chance=0.2, blocks=3),
        BehindHead(chance=0.2, blocks=2, logs_only=True),
    ),
    _own("stale", "after a reorg, half of the requests still see the branch that was left", StaleBranch(chance=0.5)),
    _own("fickle", "the same question gets another answer the second time", ChangeMind(chance=0.3)),
    _own(
        "garbled",
        "answers are not what was asked for",
        WrongIds(chance=0.03, ids="shifted"),
        WrongIds(chance=0.03, ids="swapped"),
        WrongIds(chance=0.03, ids="missing"),
        FailRequests(chance=0.03, status=200, body="<html>Just a moment...</html>"),
        TruncateLogs(chance=0.05, logs=10),
        DisorderLogs(chance=0.05),
        DisorderLogs(chance=0.05, order="doubled"),
        NullBlocks(chance=0.05),
    ),
    _own(
        "liar",
        "what it says is wrong, and stays so",
        HideLogs(chance=0.02, when="always", receipts=True),
        AlterLogs(chance=0.02, when="always"),
        AlterHeaders(chance=0.01, when="always", field="logsBloom"),
        AlterReceipts(chance=0.02, when="always", lie="data"),
    ),
    _own(
        "hostile",
        "everything, each seldom, and nothing for ever",
        Cut(chance=0.01),
        Cut(chance=0.01, at="unanswered"),
        FailRequests(chance=0.01),
        FailCalls(chance=0.01),
        RateLimit(chance=0.01),
        RateLimit(chance=0.01, style="call"),
        Delay(chance=0.05, seconds_max=0.05),
        CapRange(blocks=300, provider="alchemy"),
        CapLogs(logs=1_000, provider="infura"),
        BehindHead(chance=0.05, blocks=3),
        BehindHead(chance=0.05, logs_only=True),
        StaleBranch(chance=0.5),
        HideLogs(chance=0.02, when="once"),
        TruncateLogs(chance=0.02, logs=5),
        AlterLogs(chance=0.01, when="once"),
        DisorderLogs(chance=0.02),
        ChangeMind(chance=0.05),
        NullBlocks(chance=0.02),
        AlterHeaders(chance=0.01, when="once"),
        AlterReceipts(chance=0.05, when="once", lie="null"),
        AlterReceipts(chance=0.05, when="once", lie="no-logs"),
        MoveFinality(chance=0.05),
        WrongIds(chance=0.01),
    ),
)

BUILT_IN: Final[Mapping[str, Profile]] = {
    **{own.name: own for own in _OWN},
    **{name: _provider(name) for name in dict.fromkeys((*RANGE_PROVIDERS, *LOGS_PROVIDERS))},
}
"""The profiles that need no file, by name: those of behaviours, and one for each known provider's limits."""


def profile_of(named: "str | Path | Profile | Iterable[Fault]") -> Profile:
    """Return the profile of this name, or of this file, or of these faults.

    Raises:
        BadInput: there is none, or it is not well formed; the message says what is wrong.
    """
    if isinstance(named, Profile):
        found = named
    elif isinstance(named, str) and named in BUILT_IN:
        return BUILT_IN[named]
    elif isinstance(named, str | Path):
        found = _read(Path(named))
    else:
        faults: Any = tuple(named)
        found = Profile("", faults)
    for fault in found.faults:
        _check_words(checked(fault))
    return found


def from_toml(text: str, name: str = "") -> Profile:
    """Read a profile's TOML text.

    Raises:
        BadInput: it is not well formed; the message says what is wrong.
    """
    try:
        found = msgspec.toml.decode(text, type=Profile)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInput(f"the profile {name or 'of faults'}: {error}") from error
    return profile_of(Profile(found.name or name, found.faults, found.about))


def _read(path: Path) -> Profile:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{str(path)!r} is no profile of faults ({', '.join(BUILT_IN)}) and no file: {error}") from error
    return from_toml(text, path.stem)


def _check_words(fault: Fault) -> None:
    if isinstance(fault, CapRange):
        too_many_blocks(fault.provider, fault.blocks, 0, fault.blocks)
    if isinstance(fault, CapLogs):
        too_many_logs(fault.provider, fault.logs, 0, 1, 0)


_Draw = Callable[[Random], Any]

# What a passing fault of each kind may look like.
_PASSING: Final[Sequence[_Draw]] = (
    lambda r: HideLogs(when=r.choice(("sometimes", "once")), share=r.choice((0.3, 1.0)), receipts=r.random() < 0.3),
    lambda r: TruncateLogs(logs=r.randint(0, 20)),
    lambda r: AlterLogs(
        when=r.choice(("sometimes", "once")),
        field=r.choice(("data", "topics", "address", "transactionHash", "logIndex", "blockHash", "removed")),
    ),
    lambda r: DisorderLogs(order=r.choice(("reversed", "doubled"))),
    lambda _: WithoutTimes(),
    lambda r: BehindHead(blocks=r.randint(1, 12), logs_only=r.random() < 0.5),
    lambda r: StaleBranch(requests=r.randint(1, 30)),
    lambda _: ChangeMind(),
    lambda _: NullBlocks(),
    lambda r: AlterHeaders(field=r.choice(("parentHash", "hash", "timestamp", "number", "logsBloom", "receiptsRoot"))),
    lambda r: AlterReceipts(lie=r.choice(("null", "no-method", "no-logs", "omitted", "data", "status"))),
    lambda r: MoveFinality(blocks=r.choice((None, 1, 10, 100))),
    lambda r: CapRange(blocks=r.choice((1, 10, 100, 1_000)), provider=r.choice(RANGE_PROVIDERS)),
    lambda r: CapLogs(logs=r.choice((10, 100, 1_000)), provider=r.choice(LOGS_PROVIDERS)),
    lambda r: RateLimit(style=r.choice(("http", "call", "batch"))),
    lambda r: FailCalls(code=r.choice((-32000, -32601, -32603, 4444)), message="the backend is not available"),
    lambda r: FailRequests(status=r.choice((200, 400, 403, 500, 502, 503, 504))),
    lambda r: Delay(seconds_max=r.choice((0.01, 0.05))),
    lambda r: Cut(at=r.choice(("before", "unanswered", "head", "body"))),
    lambda r: WrongIds(ids=r.choice(("shifted", "swapped", "missing", "null", "doubled"))),
)

_LASTING: Final[Sequence[_Draw]] = (
    lambda r: HideLogs(when="always", receipts=r.random() < 0.5),
    lambda r: AlterLogs(when="always", field=r.choice(("data", "topics"))),
    lambda _: AlterHeaders(when="always", field="logsBloom"),
    lambda r: AlterReceipts(when="always", lie=r.choice(("no-logs", "omitted", "data", "status"))),
    lambda r: OtherChain(chain_id=r.randint(1, 10)),
)


def drawn(random: Random, *, lasting: bool = False) -> Profile:
    """Draw one to four passing faults of any kind, each with a chance of at most 0.4; or one ``lasting`` one beside."""
    draws = random.sample(_PASSING, random.randint(1, 4)) + ([random.choice(_LASTING)] if lasting else [])
    faults = [msgspec.structs.replace(draw(random), chance=round(random.uniform(0.02, 0.4), 3)) for draw in draws]
    return Profile("drawn", tuple(faults), "drawn at random")

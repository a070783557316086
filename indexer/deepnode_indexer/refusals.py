"""What providers say when they refuse a question, and what it means: less at once, later, or never.

There is no standard for it. ``KNOWN`` is the table of texts as providers send them, each with the place where it was
seen; a text that is in no row is no refusal that we know of, and is passed on as the error that it is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MESSAGE_CHARACTERS: Final = 1_000
"""How much of a message is looked at: a node writes what it likes."""

RATE_CODES: Final = frozenset({429, -32005, -32007})
"""Codes for too many requests: HTTP's own as a JSON-RPC code (Alchemy), EIP-1474's limit, QuickNode's."""

METHOD_MISSING_CODE: Final = -32601


class Meaning(StrEnum):
    """What to do about a refusal."""

    RANGE = "ask for less"
    BATCH = "ask fewer questions at once"
    RATE = "ask later"
    METHOD = "ask otherwise"
    OTHER = "an error"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal that was understood.

    ``suggested`` is a range that the node says would do (both ends included), ``most`` the number that it names: of
    blocks, or of the calls in a request.
    """

    meaning: Meaning
    suggested: tuple[int, int] | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A provider's text: ``pattern`` finds it and the numbers in it, ``example`` is one as sent, ``source`` where."""

    provider: str
    meaning: Meaning
    pattern: re.Pattern[str]
    example: str
    source: str


_PONDER: Final = "ponder-sh/ponder packages/utils/src/getLogsRetryHelper.ts"
_ERPC: Final = "erpc/erpc architecture/evm/error_normalizer.go"
_SEEN: Final = "as quoted by its users in public repositories"


def _known(provider: str, meaning: Meaning, pattern: str, example: str, source: str) -> Known:
    return Known(provider, meaning, re.compile(pattern, re.IGNORECASE), example, source)


_MOST: Final = r"(?P<most>\d[\d,.]*k?)"
_HEX_RANGE: Final = r"\[(?P<first>0x[0-9a-f]+),\s*(?P<last>0x[0-9a-f]+)\]"

# The first row that matches decides: rows that read a range or a number from the text come before those that do not.
KNOWN: Final[tuple[Known, ...]] = (
    _known(
        "Alchemy",
        Meaning.RANGE,
        f"this block range should work: {_HEX_RANGE}",
        "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the "
        "response size. Based on your parameters, this block range should work: [0x0, 0x87fe9]",
        "ethereum/go-ethereum issue 25343",
    ),
    _known(
        "Infura",
        Meaning.RANGE,
        f"try with this block range {_HEX_RANGE}",
        "query returned more than 10000 results. Try with this block range [0x1, 0x4E20].",
        _PONDER,
    ),
    _known(
        "reth",
        Meaning.RANGE,
        r"retry with the range (?P<first>\d+)-(?P<last>\d+)",
        "query exceeds max results 20000, retry with the range 24383075-24383096",
        "paradigmxyz/reth issue 23810",
    ),
    _known(
        "Alchemy",
        Meaning.RANGE,
        f"up to an? {_MOST} block range",
        "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range.",
        _PONDER,
    ),
    _known(
        "reth, Ankr",
        Meaning.RANGE,
        rf"query exceeds max block range {_MOST}",
        "query exceeds max block range 100000",
        "paradigmxyz/reth crates/rpc/rpc/src/eth/filter.rs",
    ),
    _known(
        "Infura",
        Meaning.RANGE,
        rf"range \d+ exceeds limit of {_MOST}",
        "range 1000000 exceeds limit of 10000",
        "INFURA/infura issue 237",
    ),
    _known(
        "QuickNode, Base",
        Meaning.RANGE,
        rf"eth_getLogs is limited to an? {_MOST}",
        "eth_getLogs is limited to a 10,000 range",
        _PONDER,
    ),
    _known(
        "1RPC, BlockPI",
        Meaning.RANGE,
        rf"limited to (?:0 - )?{_MOST} blocks?",
        "eth_getLogs is limited to 1024 block range. Please check the parameter requirements",
        _PONDER,
    ),
    _known(
        "dRPC",
        Meaning.RANGE,
        rf"ranges over {_MOST} blocks are not supported",
        "ranges over 10000 blocks are not supported on freetier",
        _SEEN,
    ),
    _known("Cloudflare", Meaning.RANGE, rf"max range: {_MOST}", "Max range: 800", _PONDER),
    _known(
        "PublicNode, BSC",
        Meaning.RANGE,
        rf"exceed maximum block range: {_MOST}",
        "exceed maximum block range: 50000",
        "tradingstrategy-ai/web3-ethereum-defi",
    ),
    _known(
        "geth of OP chains, X Layer",
        Meaning.RANGE,
        rf"block range greater than {_MOST} max",
        "block range greater than 10000 max",
        _PONDER,
    ),
    _known(
        "erigon and gateways",
        Meaning.RANGE,
        rf"exceeds server limit, narrow your filter: {_MOST}",
        "query block range exceeds server limit, narrow your filter: 5000",
        _SEEN,
    ),
    _known(
        "Avalanche",
        Meaning.RANGE,
        rf"requested too many blocks from \d+ to \d+, maximum is set to {_MOST}",
        "requested too many blocks from 0 to 5000000, maximum is set to 1024",
        _PONDER,
    ),
    _known(
        "thirdweb",
        Meaning.RANGE,
        rf"maximum allowed number of requested blocks is {_MOST}",
        "Maximum allowed number of requested blocks is 3500",
        _PONDER,
    ),
    _known(
        "Blast",
        Meaning.RANGE,
        rf"exceeds the range allowed for your plan \(\d+ > {_MOST}\)",
        "block range exceeds the range allowed for your plan (10001 > 500)",
        _PONDER,
    ),
    _known(
        "Coinbase",
        Meaning.RANGE,
        rf"limit the query to at most {_MOST} blocks",
        "please limit the query to at most 1,000 blocks",
        _PONDER,
    ),
    _known(
        "Moonbeam",
        Meaning.RANGE,
        rf"block range is too wide \(maximum {_MOST}\)",
        "block range is too wide (maximum 1024)",
        _PONDER,
    ),
    _known(
        "Merkle",
        Meaning.RANGE,
        rf"range is too large, max is {_MOST}",
        "eth_getLogs range is too large, max is 10k blocks",
        _PONDER,
    ),
    _known(
        "Ankr",
        Meaning.RANGE,
        rf"maximum \[from, to\] blocks distance: {_MOST}",
        "maximum [from, to] blocks distance: 10000",
        _PONDER,
    ),
    _known("Somnia", Meaning.RANGE, rf"block range exceeds {_MOST}", "block range exceeds 1000", _PONDER),
    _known("Ankr", Meaning.RANGE, "block range is too wide", "block range is too wide", _PONDER),
    _known("Base, Optimism", Meaning.RANGE, r"(?:block )?range (?:is )?too large", "block range too large", _PONDER),
    _known(
        "Chainstack",
        Meaning.RANGE,
        "block range limit exceeded",
        "Block range limit exceeded. See more details at https://docs.chainstack.com/docs/limits#evm-range-limits.",
        _PONDER,
    ),
    _known(
        "Infura, zkEVM",
        Meaning.RANGE,
        r"query returned more than \d+ results",
        "query returned more than 10000 results",
        _PONDER,
    ),
    _known(
        "reth, LlamaRPC",
        Meaning.RANGE,
        "query exceeds max results",
        "query exceeds max results 20000",
        "paradigmxyz/reth crates/rpc/rpc/src/eth/filter.rs",
    ),
    _known(
        "dRPC",
        Meaning.RANGE,
        "too many logs, narrow your filter",
        "query returns too many logs, narrow your filter",
        _SEEN,
    ),
    _known(
        "Nethermind",
        Meaning.RANGE,
        "too many logs requested",
        "Too many logs requested. Max logs per response is 20000.",
        "NethermindEth/nethermind src/Nethermind/Nethermind.JsonRpc/Modules/Eth/EthRpcModule.cs",
    ),
    _known(
        "Arbitrum",
        Meaning.RANGE,
        r"logs matched by query exceeds limit of \d+",
        "logs matched by query exceeds limit of 10000",
        _PONDER,
    ),
    _known(
        "Alchemy",
        Meaning.RANGE,
        r"(?:log )?response size (?:is )?(?:exceeded|should not|too large)",
        "Log response size exceeded.",
        "ethereum/go-ethereum issue 25343",
    ),
    _known(
        "geth, Optimism",
        Meaning.RANGE,
        "response (?:is )?too large|response length limit|length limit exceeded",
        "backend response too large",
        _PONDER,
    ),
    _known("geth", Meaning.RANGE, "request timed out", "request timed out", "ethereum/go-ethereum rpc/errors.go"),
    _known(
        "Alchemy, Infura",
        Meaning.RANGE,
        "query time-?out|query timed out|query duration",
        "Query timeout exceeded. Consider reducing your block range.",
        "Gearbox-protocol/third-eye core/constant.go",
    ),
    _known(
        "dRPC, Arbitrum",
        Meaning.RANGE,
        "log query timed out|execution (?:timeout|timed out)|deadline exceeded",
        "context deadline exceeded",
        _SEEN,
    ),
    _known(
        "gateways",
        Meaning.RANGE,
        "range limit exceeded|max block range|maximum block range",
        "eth_getLogs block range limit exceeded",
        _ERPC,
    ),
    _known(
        "dRPC",
        Meaning.BATCH,
        rf"batch of more than {_MOST}",
        "Batch of more than 3 requests are not allowed on free tier",
        _SEEN,
    ),
    _known(
        "geth and gateways",
        Meaning.BATCH,
        r"batch (?:size )?(?:is )?too large|batch (?:size|limit|request)s? .*(?:exceed|limit|large)"
        r"|too many (?:rpc )?(?:calls|requests) in (?:a |the )?batch|exceeds? .*batch (?:size|limit)",
        "batch too large",
        "ethereum/go-ethereum rpc/errors.go",
    ),
    _known(
        "Alchemy",
        Meaning.RATE,
        "compute units per second",
        "Your app has exceeded its compute units per second capacity.",
        _SEEN,
    ),
    _known(
        "QuickNode",
        Meaning.RATE,
        r"request limit reached|requests limited to|\d+/second",
        "50/second request limit reached - reduce calls per second or upgrade your account",
        _ERPC,
    ),
    _known(
        "Infura, Ankr and others",
        Meaning.RATE,
        "rate.?limit|too many requests|request rate|request count exceeded|under too much load|exceeded the quota"
        "|reached the quota|capacity exceeded|throughput",
        "daily request count exceeded, request rate limited",
        _ERPC,
    ),
    _known(
        "geth",
        Meaning.METHOD,
        "method .*does not exist|method not found|method .*not (?:available|supported|allowed)",
        "the method eth_getBlockReceipts does not exist/is not available",
        "ethereum/go-ethereum rpc/errors.go",
    ),
    _known(
        "gateways",
        Meaning.METHOD,
        "unsupported method|not whitelisted|not included in your current plan",
        "method is not whitelisted",
        _ERPC,
    ),
)


def meaning_of(code: int, message: str) -> Refusal:
    """Say what a JSON-RPC error means. What the text says counts for more than the code, which many share."""
    text = message[:MESSAGE_CHARACTERS]
    for known in KNOWN:
        found = known.pattern.search(text)
        if found is not None:
            return Refusal(known.meaning, _range_in(found), _number_in(found))
    if code in RATE_CODES:
        return Refusal(Meaning.RATE)
    return Refusal(Meaning.METHOD if code == METHOD_MISSING_CODE else Meaning.OTHER)


def examples(meaning: Meaning) -> Iterator[tuple[str, str]]:
    """Each provider's text with this meaning, for a stand-in that answers as they do."""
    return ((known.provider, known.example) for known in KNOWN if known.meaning == meaning)


def _range_in(found: re.Match[str]) -> tuple[int, int] | None:
    groups = found.groupdict()
    if "first" not in groups:
        return None
    first, last = int(groups["first"], 0), int(groups["last"], 0)
    return (first, last) if first <= last else None


def _number_in(found: re.Match[str]) -> int | None:
    text = found.groupdict().get("most")
    if text is None:
        return None
    digits = re.sub(r"\D", "", text)
    number = int(digits[:12]) * (1_000 if text[-1] in "kK" else 1)
    return number or None

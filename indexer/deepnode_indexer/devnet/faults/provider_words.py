"""How known providers refuse a question for logs: code, HTTP status, data and words, as their users have recorded them.

A client has to find out from such words alone that a smaller question will do, and sometimes which one. Braces are
filled in: {cap} the limit, {commas} the limit with commas, {count} the blocks asked for, and the range that would work,
from {first} to {last} in decimal, {hex_first} and {hex_last}.
"""

from dataclasses import dataclass
from typing import Any, Final

from deepnode_ledger.errors import BadInput

Json = Any
"""What JSON can hold."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A JSON-RPC error in place of a result, sent with this HTTP status where the call came alone."""

    code: int
    message: str
    data: Json = None
    status: int = 200

    def as_json(self) -> Json:
        """Write the member ``error`` of a response."""
        error = {"code": self.code, "message": self.message}
        return error if self.data is None else error | {"data": self.data}


@dataclass(frozen=True, slots=True)
class _Words:
    code: int
    text: str
    status: int = 200
    with_data: bool = False

    def refused(self, cap: int, count: int, first: int, last: int) -> Refused:
        text = self.text.format(
            cap=cap, commas=f"{cap:,}", count=count, first=first, last=last, hex_first=hex(first), hex_last=hex(last)
        )
        data = {"from": hex(first), "to": hex(last), "limit": cap} if self.with_data else None
        return Refused(self.code, text, data, self.status)


_RESULTS_AND_RANGE: Final = _Words(-32602, "query exceeds max results {cap}, retry with the range {first}-{last}")

# The blocks asked for are too many. From the tests and the retry helper of ponder (packages/utils), and from errors
# that users of the providers wrote down verbatim.
_RANGE: Final = {
    "alchemy": _Words(
        -32600,
        "Under the Free tier plan, you can make eth_getLogs requests with up to a {cap} block range. Based on your "
        "parameters, this block range should work: [{hex_first}, {hex_last}]. Upgrade to PAYG for expanded block "
        "range.",
        status=400,
    ),
    "infura": _Words(-32005, "range {count} exceeds limit of {cap}"),
    "quicknode": _Words(-32614, "eth_getLogs is limited to a {commas} range", status=413),
    "ankr": _Words(-32600, "block range is too wide"),
    "drpc": _Words(35, "ranges over {cap} blocks are not supported on free plan"),
    "cloudflare": _Words(
        -32047, "Invalid eth_getLogs request. 'fromBlock'-'toBlock' range too large. Max range: {cap}"
    ),
    "chainstack": _Words(
        -32602,
        "Block range limit exceeded. See more details at https://docs.chainstack.com/docs/limits#evm-range-limits",
    ),
    "publicnode": _Words(-32701, "exceed maximum block range: {cap}"),
    "blockpi": _Words(-32602, "eth_getLogs is limited to {cap} block range. Please check the parameter requirements"),
    "1rpc": _Words(-32602, "eth_getLogs is limited to 0 - {cap} blocks range"),
    "coinbase": _Words(-32602, "please limit the query to at most {cap} blocks"),
    "thirdweb": _Words(-32602, "Maximum allowed number of requested blocks is {cap}"),
    "avalanche": _Words(-32000, "requested too many blocks from {first} to {last}, maximum is set to {cap}"),
    "proxyd": _Words(-32602, "block range greater than {cap} max"),
    "merkle": _Words(-32602, "eth_getLogs range is too large, max is {cap} blocks"),
    "reth": _Words(-32602, "query exceeds max block range {cap}"),
}

# The logs are too many, or too many bytes.
_LOGS: Final = {
    "alchemy": _Words(
        -32602,
        "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the "
        "response size, or you can request any block range with a cap of 10K logs in the response. Based on your "
        "parameters and the response size limit, this block range should work: [{hex_first}, {hex_last}]",
        status=400,
    ),
    "infura": _Words(
        -32005,
        "query returned more than {cap} results. Try with this block range [{hex_first}, {hex_last}].",
        with_data=True,
    ),
    "ankr": _RESULTS_AND_RANGE,
    "drpc": _Words(-32602, "query returns too many logs, narrow your filter"),
    "1rpc": _Words(-32602, "response size should not greater than 10000000 bytes"),
    "proxyd": _Words(-32020, "backend response too large"),
    "reth": _RESULTS_AND_RANGE,
    "nethermind": _Words(-32005, "Too many logs requested. Max logs per response is {cap}."),
    "arbitrum": _Words(-32000, "logs matched by query exceeds limit of {cap}"),
    "zkevm": _Words(-32000, "query returned more than {cap} results"),
    "timeout": _Words(-32002, "query timeout exceeded. Consider reducing your block range."),
}

RANGE_PROVIDERS: Final = tuple(_RANGE)
"""Providers whose words for too many blocks are known."""

LOGS_PROVIDERS: Final = tuple(_LOGS)
"""Providers whose words for too many logs are known."""


def too_many_blocks(provider: str, cap: int, first: int, last: int) -> Refused:
    """Refuse a question for the blocks ``first`` to ``last`` as the provider does.

    Raises:
        BadInput: its words are not known.
    """
    words = _RANGE.get(provider)
    if words is None:
        raise BadInput(f"how {provider!r} refuses a range is not known; known are {', '.join(_RANGE)}")
    return words.refused(cap, last - first + 1, first, first + cap - 1)


def too_many_logs(provider: str, cap: int, first: int, last: int, fitting: int) -> Refused:
    """Refuse a question for blocks ``first`` to ``last``, of which those up to ``fitting`` would do.

    Raises:
        BadInput: its words are not known.
    """
    words = _LOGS.get(provider)
    if words is None:
        raise BadInput(f"how {provider!r} refuses too many logs is not known; known are {', '.join(_LOGS)}")
    return words.refused(cap, last - first + 1, first, fitting)

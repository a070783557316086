"""Documents: the subscriptions that /live asks, each with its parameters and the nodes' main fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import GraphQLObjectType, GraphQLSchema, get_named_type, is_leaf_type

from deepnode_graphql.execution import GraphQLRequest
from deepnode_graphql.live.place import parse_place
from deepnode_ledger.errors import BadInput

_HEAD: Final = (
    "place position block { number hash time } finality sealedPosition retraction { keptPosition fromPosition reorg }"
)
_ACCOUNT: Final = "account { name owner pocket holder } asset { symbol address decimals }"
_ENTRIES: Final = (
    "entries { position kind contract block { number hash time } transactionHash logIndex finality "
    f"postings {{ leg {_ACCOUNT} amount amountFormatted balance balanceFormatted }} }}"
)
_BALANCES: Final = f"balances {{ {_ACCOUNT} amount amountFormatted position finality }}"
_REORGS: Final = "reorg { number keptPosition keptBlock oldTipNumber oldTipHash newTipNumber newTipHash }"


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream of /live: the type of its filter, and its parameters, which are the filter's fields."""

    where: str | None
    parameters: tuple[str, ...]
    listed: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()


STREAMS: Final[Mapping[str, Stream]] = {
    "entries": Stream("LiveEntryWhere", ("kind", "account", "holder", "asset")),
    "balances": Stream("LiveBalanceWhere", ("account", "holder", "asset")),
    "distributions": Stream(
        "LiveDistributionWhere",
        ("kinds", "epoch", "domain", "asset", "earner"),
        listed=frozenset({"kinds"}),
        whole=frozenset({"epoch"}),
    ),
    "reorgs": Stream(None, ()),
}


def request_of(
    schema: GraphQLSchema, name: str, parameters: Mapping[str, str], last_seen: str | None
) -> GraphQLRequest:
    """Make the subscription of a stream.

    Args:
        schema: the one that is served.
        name: of the stream, a key of ``STREAMS``.
        parameters: of the URL.
        last_seen: the place that the client came to before, which it knows better than its URL.

    Raises:
        BadInput: a parameter is unknown, or not of its form.
    """
    stream = STREAMS[name]
    unknown = set(parameters) - {*stream.parameters, "from"}
    if unknown:
        known = ", ".join((*stream.parameters, "from"))
        raise BadInput(f"/live/{name} has no parameter {min(unknown)!r:.80}; these are: {known}")
    where = {each: _value(stream, each, parameters[each]) for each in stream.parameters if each in parameters}
    place = last_seen or parameters.get("from")
    if place is not None:
        parse_place(place)
    filtered = ("", "") if stream.where is None else (f", $where: {stream.where}", ", where: $where")
    query = (
        f"subscription ($from: Place{filtered[0]}) "
        f"{{ {name}(from: $from{filtered[1]}) {{ {_HEAD} {_rows(schema, name)} }} }}"
    )
    return GraphQLRequest(query, {"from": place, **({"where": where} if stream.where else {})})


def _rows(schema: GraphQLSchema, name: str) -> str:
    fixed = {"entries": _ENTRIES, "balances": _BALANCES, "reorgs": _REORGS}.get(name)
    if fixed is not None:
        return fixed
    change = schema.get_type("DistributionsChange")
    assert isinstance(change, GraphQLObjectType), change
    lists = [(field, get_named_type(of.type)) for field, of in change.fields.items() if field not in _HEAD.split()]
    return " ".join(f"{field} {{ {' '.join(_leaves(node))} }}" for field, node in lists)


def _leaves(node: Any) -> list[str]:
    return [name for name, of in node.fields.items() if is_leaf_type(get_named_type(of.type)) and not of.args]


def _value(stream: Stream, name: str, text: str) -> Any:
    if name in stream.listed:
        return text.split(",")
    if name in stream.whole:
        if not (text.isascii() and text.isdigit() and len(text) <= 16):
            raise BadInput(f"{name} must be a whole number, not {text!r:.80}")
        return int(text)
    return text

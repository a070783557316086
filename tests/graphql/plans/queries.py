"""Queries made up by chance out of the schema: the fields that plans answer, and a few that they do not."""

import json
import random
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)

NUMBERS = [-1, 0, 1, 2, 3, 5, 8, 12, 13, 20, 24, 2**53 - 1]
AMOUNTS = ["0", "-1", "5", "1000000000000000000", str(10**38 - 1), str(2**63), "12000000000000000001"]
TEXTS = ["", "b", "é\u2028\n", "a", "A", "open", "x" * 70 + "1", "Transfer", "Mint", "Wallet", "DN", "USDC"]
BYTES = ["0x", "0x00", "0xFF00", "0x" + "a1" * 20, "0x" + "b0" * 20, "0x" + "00" * 20, "0x" + "02" * 32]
PICKED: dict[str, list[Any]] = {
    "Long": NUMBERS,
    "BigInt": AMOUNTS,
    "String": TEXTS,
    "Hex": BYTES,
    "Address": BYTES[3:6],
    "Int": NUMBERS,
}


class Name(str):
    """A value of an enum, which stands without quotes."""

    __slots__ = ()


@dataclass
class Query:
    """A document, and variables for it, twice."""

    text: str
    variables: tuple[dict[str, Any], dict[str, Any]]
    roots: list[str]


@dataclass
class Maker:
    """Makes queries. ``cursors`` are some that were seen in answers, by the root field that gave them."""

    schema: GraphQLSchema
    roots: list[str]
    chance: random.Random
    cursors: dict[str, list[str]] = field(default_factory=dict)
    deep: bool = False
    """Whether relations, histories and other fields with resolvers are asked for as well."""

    def query(self) -> Query:
        """Make a query of one to three root fields."""
        chosen = self.chance.choices(self.roots, k=self.chance.choice([1, 1, 1, 2, 3]))
        self._types: dict[str, str] = {"on": "Boolean!"}
        self._values: tuple[dict[str, Any], dict[str, Any]] = ({"on": True}, {"on": self._often()})
        self._fragments: list[str] = []
        query = self.schema.query_type
        assert query is not None
        fields = [
            f"r{number}: {name}{self._arguments(query, name)} {self._selection(query.fields[name].type, 0)}"
            for number, name in enumerate(chosen)
        ]
        if self._rarely():
            fields.append("kind: __typename")
        given = ", ".join(f"${name}: {of}" for name, of in self._types.items())
        body = " ".join(fields)
        text = f"query({given}) {{ on: __typename @include(if: $on) {body} }} {' '.join(self._fragments)}"
        return Query(text, self._values, chosen)

    def _often(self) -> bool:
        return self.chance.random() < 0.7

    def _rarely(self) -> bool:
        return self.chance.random() < 0.08

    def _arguments(self, of: GraphQLObjectType, root: str) -> str:
        written = []
        for name, argument in of.fields[root].args.items():
            if not is_non_null_type(argument.type) and self.chance.random() < 0.5:
                continue
            if name == "last" and "first" in of.fields[root].args and not self._rarely():
                continue
            first, second = (self._argument(root, name, argument.type) for _ in range(2))
            if self.chance.random() < 0.5:
                written.append(f"{name}: {_literal(first)}")
            else:
                variable = f"v{len(self._types)}"
                self._types[variable] = str(argument.type)
                for values, value in zip(self._values, (first, second), strict=True):
                    values[variable] = value
                written.append(f"{name}: ${variable}")
        return f"({', '.join(written)})" if written else ""

    def _argument(self, root: str, name: str, of: Any) -> Any:
        if name in ("first", "last"):
            return self.chance.choice(
                [1, 2, 3, 5, 50, None if not is_non_null_type(of) else 4, 0 if self._rarely() else 7]
            )
        if name in ("after", "before"):
            known = self.cursors.get(root, [])
            return self.chance.choice(known) if known else self.chance.choice(["W10", ""]) if self._rarely() else None
        if name == "at":
            if self._rarely():
                return {self.chance.choice(["position", "block", "time", "epoch"]): self.chance.choice(NUMBERS)}
            past = [{"position": self.chance.randrange(12)}, {"block": self.chance.randrange(8)}]
            return self.chance.choice([None, *past, {"time": 1_700_000_000 + self.chance.randrange(16)}])
        return self._value(of, 0)

    def _value(self, of: Any, depth: int) -> Any:
        if is_non_null_type(of):
            return self._value(of.of_type, depth)
        if is_list_type(of):
            return [self._value(of.of_type, depth) for _ in range(self.chance.choice([0, 1, 2, 3, 5]))]
        if isinstance(of, GraphQLInputObjectType):
            names = [name for name in of.fields if depth < 2 or not name.startswith("_") or name not in _LINKS]
            some = self.chance.sample(names, min(len(names), self.chance.choice([0, 1, 1, 2])))
            return {name: self._value(of.fields[name].type, depth + 1) for name in some}
        if isinstance(of, GraphQLEnumType):
            return Name(self.chance.choice(list(of.values)))
        if of.name == "Boolean":
            return self.chance.random() < 0.5
        return "\u0000" if of.name == "String" and self._rarely() else self.chance.choice(PICKED[of.name])

    def _selection(self, of: Any, depth: int) -> str:
        kind = get_named_type(of)
        assert isinstance(kind, GraphQLObjectType)
        simple = [
            name for name, each in kind.fields.items() if is_leaf_type(get_named_type(each.type)) and not each.args
        ]
        deep = [
            name
            for name, each in kind.fields.items()
            if isinstance(get_named_type(each.type), GraphQLObjectType) and (self.deep or not each.args)
        ]
        if kind.name.endswith("Connection"):
            simple, deep = [], ["edges", "pageInfo"]
            if self._rarely():
                simple = ["totalCount"]
        if depth >= (7 if self.deep else 4):
            deep = []
        elif self.deep:
            some = self.chance.sample(deep, min(len(deep), 2))
            deep = [name for name in deep if name in ("edges", "node") or name in some]
        elif kind.name in _ROWS:
            # What plans answer; the others come rarely.
            deep = [name for name in deep if name in ("account", "asset", "block") or self._rarely()]
            simple = [name for name in simple if name not in _WIDE or self._rarely()]
        else:
            deep = [name for name in deep if name in _KNOWN or self._rarely()]
            simple = [name for name in simple if name not in _WIDE or self._rarely()]
        names = self.chance.sample(simple, min(len(simple), self.chance.randrange(1, 7)))
        names += [name for name in deep if name in ("edges", "node") or self.chance.random() < 0.6]
        if kind.name.endswith("Edge") and self._often():
            names.append("node")
        self.chance.shuffle(names)
        parts = [self._field(kind, name, depth) for name in dict.fromkeys(names)] or ["__typename"]
        if self._rarely():
            parts.append("__typename")
        if self._rarely():
            number = len(self._fragments)
            self._fragments.append(f"fragment f{number} on {kind.name} {{ {' '.join(parts)} }}")
            parts = [f"...f{number}"]
        elif self._rarely():
            parts = [f"... on {kind.name} @include(if: $on) {{ {' '.join(parts)} }}", "__typename"]
        return f"{{ {' '.join(parts)} }}"

    def _field(self, kind: GraphQLObjectType, name: str, depth: int) -> str:
        alias = f"a{self.chance.randrange(1000)}: " if self._rarely() else ""
        directive = " @skip(if: $on)" if self._rarely() else ""
        of = kind.fields[name].type
        below = "" if is_leaf_type(get_named_type(of)) else " " + self._selection(of, depth + 1)
        return f"{alias}{name}{self._arguments(kind, name)}{directive}{below}"


_LINKS = ("_and", "_or", "_not")
_KNOWN = ("edges", "node", "pageInfo", "account", "asset", "block", "finalizedBlock", "manifest")
_ROWS = ("Posting", "Balance", "Entry", "Account")
_WIDE = ("totalSupply", "totalSupplyFormatted", "stateRoot", "totalCount")


def _literal(value: Any) -> str:
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_literal(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    assert not isinstance(value, Enum)
    return json.dumps(value)

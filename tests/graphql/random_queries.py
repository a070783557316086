"""Random queries over a schema: most of them valid or nearly so, some of them mutilated.

A writer of queries knows nothing but the schema. It picks fields, arguments and values at random, right ones and wrong
ones, puts them into variables, fragments and directives, and spoils some of the text. What it has seen in answers
(cursors, names, hashes) it uses again, so that its queries also find something.
"""

import re
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
)

ASKED: Final = 3
DEPTH_MAX: Final = 4
SEEN_MAX: Final = 400

WHOLE: Final = (0, 1, 2, 3, 5, 9, 14, 15, 16, -1, 2**31 - 1, 2**31, 2**53 - 1, 2**53, 2**63, 2**200)
ODD: Final[tuple[Any, ...]] = (None, True, 1.5, -0.0, 1e300, "", "x", [], {}, [[]], {"a": 1}, [None], 10**400)
TEXTS: Final = (
    "", "DN", "USDC", "Burn", "Mint", "' OR 1=1 --", "%", "_", "\\", '"', "\0", "é", "\U0001f600", "\u202e", "a" * 300,
    "null", "Transfer", "emission", "2", "0x", "0x" + "ff" * 32, "0x" + "00" * 5_000, "W10", "W10=", "bnVsbA",
)  # fmt: skip
OF_SCALARS: Final = {
    "Address": ("0x" + "a1" * 20, "0x" + "B0" * 20, "0x" + "00" * 20, "0x" + "ff" * 20),
    "Hex": ("0x" + "01" * 32, "0x" + "ff" * 32, "0x" + "a1" * 20, "0x", "0x" + "00" * 500),
    "BigInt": ("0", "1", "-1", "12", str(10**18), str(10**38), str(-(10**38)), str(10**90)),
    "Place": ("0", "1.0", "3.1"),
}
BITS: Final = (
    "{", "}", "(", ")", "[", "]", ":", "!", "$", "@", "...", "|", "=", '"', '"""', "#", ",", "\n", "\0", "é", "query",
    "fragment", "on", "subscription", "mutation", "null", "true", "-", "0", "1e", "__typename", "__schema", "\\u", "&",
)  # fmt: skip


class QueryWriter:
    """Writes random queries: what it writes depends on the seed and on what it is told to have seen."""

    def __init__(self, schema: GraphQLSchema, seed: int) -> None:
        self._schema = schema
        self._rng = Random(seed)
        self._seen: list[str] = []

    def saw(self, answer: Any) -> None:
        """Remember some texts of an answer, to be used as values."""
        texts = re.findall(r'"([^"\\]{3,200})"', answer)
        self._seen += self._rng.sample(texts, min(len(texts), 5))
        del self._seen[:-SEEN_MAX]

    def requests(self) -> Iterator[dict[str, Any]]:
        """Write a query and ask it a few times: with other variables, or spoiled where it has none.

        A request is ``query``, ``variables``, and perhaps ``operationName``.
        """
        draft = _Draft(self._schema, self._rng, self._seen)
        query = draft.operation()
        for number in range(ASKED):
            if number and not draft.values:
                yield {"query": self._spoiled(query), "variables": {}}
                continue
            variables: Any = draft.values if not number else draft.other_values()
            if self._chance(0.05):
                variables = self._rng.choice([None, {}, {"n": 1}, {**draft.values, "extra": [1, {"a": None}]}])
            request: dict[str, Any] = {"query": query, "variables": variables}
            if self._chance(0.03):
                request["operationName"] = self._rng.choice(["Q", "", None, None])
            yield request

    def _spoiled(self, query: str) -> str:
        tokens = re.findall(r'"[^"]*"|\w+|\s+|.', query)
        for _ in range(self._rng.randrange(1, 4)):
            place = self._rng.randrange(len(tokens))
            match self._rng.randrange(5):
                case 0:
                    del tokens[place : place + self._rng.randrange(1, 4)]
                case 1:
                    tokens.insert(place, self._rng.choice(BITS))
                case 2:
                    tokens[place] = self._rng.choice(tokens)
                case 3:
                    tokens[place:place] = tokens[place : place + self._rng.randrange(1, 8)]
                case _:
                    tokens[place] = tokens[place][::-1]
            if not tokens:
                return " "
        return "".join(tokens)

    def _chance(self, chance: float) -> bool:
        return self._rng.random() < chance


class _Draft:
    """One query while it is written."""

    def __init__(self, schema: GraphQLSchema, rng: Random, seen: list[str]) -> None:
        self._schema = schema
        self._rng = rng
        self._seen = seen
        self._declared: list[str] = []
        self._fragments: list[str] = []
        self._types: dict[str, Any] = {}
        self.values: dict[str, Any] = {}

    def operation(self) -> str:
        """Write the document."""
        root = self._schema.query_type
        assert root is not None
        selections = self._selections(root, 0)
        declared = f"({', '.join(self._declared)})" if self._declared else ""
        named = self._rng.choice(["query Q", "query Q", "query"])
        if not declared and self._chance(0.3):
            named = ""
        second = " query R { __typename }" if self._chance(0.01) else ""
        return f"{named}{declared} {selections} {' '.join(self._fragments)}{second}"

    def other_values(self) -> dict[str, Any]:
        """Other values for the variables."""
        return {
            name: value if self._types[name] is None else self._value(self._types[name], 0)
            for name, value in self.values.items()
        }

    def _selections(self, parent: Any, depth: int) -> str:
        fields = parent.fields
        leaves = [name for name, field in fields.items() if is_leaf_type(get_named_type(field.type))]
        count = self._rng.choice([1, 1, 1, 1, 2, 3])
        names = self._rng.sample(list(fields), min(count, len(fields)))
        if depth >= DEPTH_MAX:
            names = self._rng.sample(leaves, min(count, len(leaves))) if leaves else ["__typename"]
        elif "edges" in fields and self._chance(0.8):
            names = ["edges", *(["pageInfo"] if self._chance(0.5) else [])]
        written = [self._field(name, fields.get(name), depth) for name in names]
        if self._chance(0.03):
            written.append(self._rng.choice(["__typename", "__typename", "nothing", "__schema { queryType { name } }"]))
        body = " ".join(written)
        if self._chance(0.08):
            body = f"... on {parent.name if self._chance(0.97) else 'Account'} {self._directive()} {{ {body} }}"
        if self._chance(0.06):
            name = f"f{len(self._fragments)}"
            self._fragments.append("")
            self._fragments[int(name[1:])] = f"fragment {name} on {parent.name} {{ {body} }}"
            body = f"...{name} {self._directive()}" + (f" ...{name}" if self._chance(0.2) else "")
        return f"{{ {body} }}"

    def _field(self, name: str, field: GraphQLField | None, depth: int) -> str:
        alias = f"a{self._rng.randrange(9)}: " if self._chance(0.1) else ""
        if field is None:
            return f"{alias}{name}"
        given = [
            f"{each}: {self._argument(each, argument)}"
            for each, argument in field.args.items()
            if isinstance(argument.type, GraphQLNonNull) or self._chance(0.3)
        ]
        if self._chance(0.003):
            given.append("nothing: 1")
        arguments = f"({', '.join(given)})" if given else ""
        inner = get_named_type(field.type)
        below = ""
        if isinstance(inner, GraphQLObjectType | GraphQLInterfaceType):
            below = self._selections(inner, depth + 1)
        return f"{alias}{name}{arguments} {self._directive()}{below}"

    def _directive(self) -> str:
        if self._chance(0.95):
            return ""
        named, given = self._rng.choice(["include"] * 6 + ["skip"] * 6 + ["unknown"]), "true"
        if self._chance(0.5):
            given = self._variable("Boolean!", None, self._rng.choice([True, False, None, 1]))
        return f"@{named}(if: {given}) "

    def _argument(self, name: str, argument: GraphQLArgument) -> str:
        value = self._value(argument.type, 0)
        if name in ("first", "last") and self._chance(0.9):
            value = self._rng.choice([1, 2, 3, 5, 10])
        if name in ("after", "before") and self._seen and self._chance(0.5):
            value = self._rng.choice(self._seen)
        if self._chance(0.5):
            return self._variable(str(argument.type), None if name in ("first", "last") else argument.type, value)
        return self._written(argument.type, value)

    def _variable(self, kind: str, of: Any, value: Any) -> str:
        name = f"v{len(self._declared)}"
        self._types[name] = of
        self._declared.append(f"${name}: {kind}" + (" = null" if self._chance(0.05) and not kind.endswith("!") else ""))
        if self._chance(0.95):
            self.values[name] = value if self._chance(0.97) else self._rng.choice(ODD[:-1])
        return f"${name}"

    def _value(self, kind: Any, depth: int) -> Any:
        """A value as JSON has it, of a type or not quite."""
        if isinstance(kind, GraphQLNonNull):
            return self._value(kind.of_type, depth)
        if self._chance(0.01):
            return self._rng.choice(ODD)
        if isinstance(kind, GraphQLList):
            return [self._value(kind.of_type, depth + 1) for _ in range(self._rng.randrange(4))]
        if isinstance(kind, GraphQLEnumType):
            return self._rng.choice(list(kind.values))
        if isinstance(kind, GraphQLInputObjectType):
            return self._object(kind, depth)
        match kind.name:
            case "Int" | "Long":
                return self._rng.choice(WHOLE if self._chance(0.1) else WHOLE[:9])
            case "Boolean":
                return self._chance(0.5)
            case "Float":
                return self._rng.choice([0.5, -1.0, 1e10])
        if self._chance(0.95) and kind.name in OF_SCALARS:
            known = [each for each in self._seen if each.startswith("0x") and kind.name in ("Hex", "Address")]
            return self._rng.choice([*OF_SCALARS[kind.name], *known[-5:]])
        if self._seen and self._chance(0.5):
            return self._rng.choice(self._seen)
        return self._rng.choice(TEXTS)

    def _object(self, kind: GraphQLInputObjectType, depth: int) -> dict[str, Any]:
        names = list(kind.fields)
        if depth >= 4:
            names = [each for each in names if is_leaf_type(get_named_type(kind.fields[each].type))] or names
        count = 1 if kind.is_one_of and self._chance(0.9) else self._rng.choice([0, 1, 1, 1, 1, 2])
        chosen = self._rng.sample(names, min(count, len(names)))
        if depth >= 6:
            chosen = []
        return {each: self._value(kind.fields[each].type, depth + 1) for each in chosen}

    def _written(self, kind: Any, value: Any) -> str:
        """A value as the language has it."""
        inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
        if value is None or isinstance(value, bool):
            return {None: "null", True: "true", False: "false"}[value]
        if isinstance(value, int | float):
            return str(value)
        if isinstance(value, list):
            of = inner.of_type if isinstance(inner, GraphQLList) else inner
            return f"[{', '.join(self._written(of, each) for each in value)}]"
        if isinstance(value, dict):
            fields = inner.fields if isinstance(inner, GraphQLInputObjectType) else {}
            parts = [
                f"{name}: {self._written(fields[name].type if name in fields else None, each)}"
                for name, each in value.items()
            ]
            return f"{{ {', '.join(parts)} }}"
        if isinstance(inner, GraphQLEnumType) and value in inner.values:
            return str(value)
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"'

    def _chance(self, chance: float) -> bool:
        return self._rng.random() < chance

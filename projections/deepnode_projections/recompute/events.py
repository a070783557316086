"""The events that are recomputed, read from ``events.txt``, and the SQL that makes a table of each.

Nothing here is shared with the ledger's own decoding: the declarations are a list of their own, first topics are
computed from them, and the words of a log are read by the functions of ``sql/00_decoding.sql``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from eth_utils.crypto import keccak

_LINE: Final = re.compile(r"(?P<kind>\w+): (?P<name>\w+)\((?P<arguments>[^)]*)\)", re.ASCII)
_TYPE: Final = re.compile(r"uint(?P<bits>\d+)(?P<list>\[(?P<count>\d*)\])?", re.ASCII)
_TABLE: Final = """
    CREATE UNLOGGED TABLE {table} AS
    SELECT * FROM (
        SELECT l.position, l.chain_id, l.block_number, l.block_time, l.log_index, l.address AS contract,
            c.name AS contract_name, c.asset AS contract_asset{columns}
        FROM log l JOIN contract c ON c.chain_id = l.chain_id AND c.address = l.address
            AND (c.since_block IS NULL OR (c.since_block, c.since_index) < (l.block_number, l.log_index))
        WHERE c.kind = '{kind}' AND l.topic0 = '\\x{topic0}' AND l.topic{topics} IS NOT NULL{fewer}
    ) AS decoded WHERE true{known}"""

_CAPITAL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of an event: ``type`` as in Solidity, ``name`` as the column that it becomes."""

    type: str
    name: str
    is_indexed: bool

    @property
    def words(self) -> int:
        """How many words it takes among the arguments themselves."""
        found = _TYPE.fullmatch(self.type)
        return int(found["count"]) if found and found["count"] else 1


@dataclass(frozen=True, slots=True)
class Event:
    """An event of contracts of a kind."""

    kind: str
    name: str
    arguments: tuple[Argument, ...]

    @property
    def table(self) -> str:
        """The table that holds its logs, such as ``epoch_opened``."""
        return _CAPITAL.sub("_", self.name).lower()

    @property
    def topic0(self) -> bytes:
        """The first topic of its logs (32 bytes)."""
        return bytes(keccak(text=f"{self.name}({','.join(each.type for each in self.arguments)})"))

    def statement(self) -> str:
        """Write the SQL that makes its table of the table ``log``.

        A log whose topics or data are not what the declaration says is left out.
        """
        columns = "".join(f",\n        {text} AS {name}" for name, text in self._columns())
        known = "".join(f"\n    AND {each.name} IS NOT NULL" for each in self.arguments)
        topics = sum(each.is_indexed for each in self.arguments)
        fewer = f" AND l.topic{topics + 1} IS NULL" if topics < 3 else ""
        return _TABLE.format(
            table=self.table,
            columns=columns,
            kind=self.kind,
            topic0=self.topic0.hex(),
            topics=topics,
            fewer=fewer,
            known=known,
        )

    def _columns(self) -> Iterator[tuple[str, str]]:
        topic, word = 1, 0
        for each in self.arguments:
            if each.is_indexed:
                yield each.name, _of_word(each.type, f"l.topic{topic}")
                topic += 1
            else:
                yield each.name, _of_data(each.type, word)
                word += each.words


@cache
def declared() -> tuple[Event, ...]:
    """Return the events of ``events.txt``, in its order."""
    text = (files("deepnode_projections.recompute") / "events.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = tuple(_event(line) for line in lines)
    assert len({each.table for each in found}) == len(found), "two events would have one table"
    return found


def _event(line: str) -> Event:
    match = _LINE.fullmatch(line)
    assert match is not None, line
    arguments = []
    for declaration in match["arguments"].split(", "):
        abi_type, name = declaration.split(" ")
        arguments.append(Argument(abi_type, name.removeprefix("*"), name.startswith("*")))
    return Event(match["kind"], match["name"], tuple(arguments))


def _of_word(abi_type: str, word: str) -> str:
    if abi_type == "bytes32":
        return word
    if abi_type == "address":
        return f"address_of({word})"
    if abi_type == "bool":
        return f"CASE uint({word}) WHEN 0 THEN false WHEN 1 THEN true END"
    match = _TYPE.fullmatch(abi_type)
    assert match is not None, abi_type
    assert match["list"] is None, abi_type
    return f"uint({word})" if match["bits"] == "256" else f"uint_of({word}, {match['bits']})"


def _of_data(abi_type: str, number: int) -> str:
    if abi_type == "string":
        return f"string_of(l.data, {number})"
    match = _TYPE.fullmatch(abi_type)
    if match and match["list"]:
        if match["count"]:
            return f"row_of(l.data, {number}, {match['count']}, {match['bits']})"
        return f"uints_of(l.data, {number}, {match['bits']})"
    return _of_word(abi_type, f"word(l.data, {number})")

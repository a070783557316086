"""Search: what the books know under an id, whatever it is the id of.

An id is an address, a hash or another id in hexadecimal digits, a number, or a name. It is looked for wherever an
index leads: keys of records and fields of ``FOUND_BY``, holders and names of accounts, transactions, blocks, epochs,
positions of the log, tokens and contracts. Each place is looked at up to ``COUNT_MAX`` rows, so a search for an id that
everything refers to costs about as much as for one that nobody knows.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import strawberry
from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB

from deepnode_graphql.filters import text
from deepnode_graphql.moments import At, Moment
from deepnode_graphql.nodes import Info
from deepnode_graphql.reading import Reading
from deepnode_graphql.registers.names import field_name
from deepnode_graphql.registers.register import Register
from deepnode_graphql.scalars import LONG_MAX, Long
from deepnode_ledger.errors import BadInput
from deepnode_ledger.finding import OfTransaction
from deepnode_ledger.hexadecimal import ADDRESS_BYTES, WORD_BYTES, to_hex
from deepnode_projections.registers.record import Field
from deepnode_projections.rules.epochs import Epoch
from deepnode_projections.tables import account as account_table
from deepnode_projections.tables import block as block_table
from deepnode_projections.tables import entry as entry_table

ID_CHARACTERS_MAX: Final = 300
COUNT_MAX: Final = 1_000
"""Rows that one place is looked at for."""

_HEX: Final = re.compile(r"(?:0[xX])?(?P<digits>[0-9a-fA-F]+)")
_NUMBER: Final = re.compile(r"[0-9]{1,16}")


@strawberry.type
class SearchHit:
    """A place where an id was found: one thing, or a list of those that name it.

    Attributes:
        kind: the type of what was found, such as `Node`.
        field: the field of it that holds the id.
        count: how many there are, 1000 at most.
        label: what it is, in words.
        position: of the only one, the log entry that made it; null if there are several, or if it has none.
        ask: the field of the query that answers with it or with the list, its arguments filled in.
    """

    kind: str
    field: str
    count: int
    label: str
    position: Long | None
    ask: str


@dataclass(frozen=True, slots=True)
class _Term:
    """What an id may be: bytes, a whole number, and always a text."""

    text: str
    bytes: bytes | None
    number: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """A field in which ids are looked for."""

    register: Register
    field: Field

    @property
    def is_thing(self) -> bool:
        """Whether it is the whole key: whose it is, is found."""
        return self.register.kind.KEY == 1 and self.field == self.register.key[0]


def search_field(registers: Iterable[Register]) -> Any:
    """Make the root field that searches among these kinds of records and all else."""
    places = list(places_of(registers))

    def search(
        info: Info,
        named: Annotated[
            str, strawberry.argument(name="id", description="An address, a hash, an id, a number, or a name.")
        ],
        at: Annotated[At | None, strawberry.argument(description="The moment; the books' end if left out.")] = (
            strawberry.UNSET
        ),
    ) -> list[SearchHit]:
        return find(info.context, places, named, info.context.moment(at))

    said = "What the books know under any id: things that it names first, then lists of who names it. See `ask`."
    return strawberry.field(resolver=search, graphql_type=list[SearchHit], description=said)


def find(reading: Reading, places: Sequence[Place], named: str, moment: Moment) -> list[SearchHit]:
    """Return where an id is found at a moment: things by their own key, all else, then lists of who names it.

    Raises:
        BadInput: the id is empty or too long, or a text that cannot be.
    """
    term = _term(named)
    records = list(_records(reading, places, term, moment))
    things = [hit for is_thing, hit in records if is_thing]
    lists = [hit for is_thing, hit in records if not is_thing]
    return [*things, *_others(reading, term, moment), *lists]


def _term(named: str) -> _Term:
    named = text(named.strip(), "id")
    if not 1 <= len(named) <= ID_CHARACTERS_MAX:
        raise BadInput(f"an id has 1 to {ID_CHARACTERS_MAX} characters, not {len(named)}")
    found = _HEX.fullmatch(named)
    digits = found["digits"] if found is not None else ""
    prefixed = named[:2].lower() == "0x"
    whole = len(digits) in (2 * ADDRESS_BYTES, 2 * WORD_BYTES) or (prefixed and digits and len(digits) % 2 == 0)
    number = int(named) if _NUMBER.fullmatch(named) and int(named) <= LONG_MAX else None
    return _Term(named, bytes.fromhex(digits) if whole else None, number)


def places_of(registers: Iterable[Register]) -> Iterator[Place]:
    """Yield the fields in which ids are looked for: an index of their table begins with each."""
    for register in registers:
        found_by = getattr(register.kind, "FOUND_BY", ())
        for field in register.fields:
            # Whole numbers in a key mean something in an epoch's alone; others count, or tell a sort.
            by_index = field == register.key[0] or field.name in found_by
            if by_index and (field.type in (bytes, str) or register.kind is Epoch):
                yield Place(register, field)


def _records(
    reading: Reading, places: Sequence[Place], term: _Term, moment: Moment
) -> Iterator[tuple[bool, SearchHit]]:
    values = {bytes: term.bytes, str: term.text, int: term.number}
    looked = [place for place in places if values[place.field.type] is not None]
    if not looked:
        return
    parts = [_look(number, place, values[place.field.type], moment) for number, place in enumerate(looked)]
    for row in reading.database.execute(union_all(*parts)):
        place = looked[row.place]
        yield place.is_thing, _hit(place, term, row)


def _look(number: int, place: Place, value: Any, moment: Moment) -> Select[Any]:
    table = place.register.table
    column = table.c[place.field.name]
    key = func.jsonb_build_array(*(_as_text(table.c[each.name], each) for each in place.register.key), type_=JSONB())
    held: ColumnElement[bool] = table.c.until.is_(None)
    if not moment.present:
        held = or_(held, table.c.until > moment.position) & (table.c.position <= moment.position)
    rows = (
        select(table.c.position, key.label("key"))
        .where(column == bindparam(None, value, column.type, unique=True), held)
        .limit(COUNT_MAX)
        .subquery()
    )
    return (
        select(
            literal(number).label("place"),
            func.count().label("count"),
            func.max(rows.c.position).label("position"),
            (func.jsonb_agg(rows.c.key, type_=JSONB())[0]).label("key"),
        )
        .select_from(rows)
        .having(func.count() > 0)
    )


def _as_text(column: ColumnElement[Any], field: Field) -> ColumnElement[Any]:
    if field.type is bytes:
        return literal("0x").concat(func.encode(column, "hex"))
    return cast(column, Text)


def _hit(place: Place, term: _Term, row: Any) -> SearchHit:
    names, one = place.register.names, row._mapping["count"] == 1
    shown = field_name(place.field)
    if one:
        key = zip(place.register.key, row.key, strict=True)
        arguments = ", ".join(f"{field_name(each)}: {_literal(each, value)}" for each, value in key)
        ask = f"{names.one}({arguments})"
        label = f"{names.one} of which it is the {shown}"
    else:
        value = term.text if place.field.type is str else to_hex(term.bytes or b"")
        ask = f"{names.many}(where: {{ {shown}: {{ _eq: {_literal(place.field, value)} }} }})"
        label = f"{names.many} of which it is the {shown}"
    position = Long(row.position) if one else None
    return SearchHit(kind=names.type, field=shown, count=row._mapping["count"], label=label, position=position, ask=ask)


def _literal(field: Field, value: str) -> str:
    return value if field.type in (int, bool) else _quoted(value)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'


def _others(reading: Reading, term: _Term, moment: Moment) -> Iterator[SearchHit]:
    if term.bytes is not None and len(term.bytes) == ADDRESS_BYTES:
        yield from _of_address(reading, term.bytes, moment)
    if term.bytes is not None and len(term.bytes) == WORD_BYTES:
        yield from _of_transaction(reading, term.bytes, moment)
        yield from _of_block(reading, block_table.c.hash == term.bytes, "hash", moment)
    if term.number is not None:
        yield from _of_number(reading, term.number, moment)
    for asset in reading.assets.values():
        if term.text == asset.symbol:
            yield _one("Asset", "symbol", f"the token {asset.symbol} at {to_hex(asset.address)}", None, "assets")
    named = select(account_table.c.first_position).where(account_table.c.name == term.text)
    row = reading.database.execute(named.where(account_table.c.first_position <= moment.position)).one_or_none()
    if row is not None:
        yield _one(
            "Account", "name", "account of this name", row.first_position, f"account(name: {_quoted(term.text)})"
        )


def _of_address(reading: Reading, address: bytes, moment: Moment) -> Iterator[SearchHit]:
    shown = to_hex(address)
    asset = reading.asset_at(address)
    if asset is not None:
        yield _one("Asset", "address", f"the token {asset.symbol}", None, "assets")
    contract = reading.contracts.get(address)
    if contract is not None:
        label = f"the contract {contract.name}, whose logs are in the log"
        yield _one("LogEntry", "address", label, None, f'logEntries(where: {{ address: "{shown}" }})')
    held = (
        select(account_table.c.first_position)
        .where(account_table.c.holder == address, account_table.c.first_position <= moment.position)
        .limit(COUNT_MAX)
    )
    accounts = len(reading.database.execute(held).all())
    if accounts:
        label = "holder of accounts whose sum is its token balance"
        yield SearchHit(
            kind="Holder",
            field="address",
            count=accounts,
            label=label,
            position=None,
            ask=f'holder(address: "{shown}")',
        )


def _of_transaction(reading: Reading, hash_: bytes, moment: Moment) -> Iterator[SearchHit]:
    shown = to_hex(hash_)
    moved = (
        select(entry_table.c.position)
        .where(entry_table.c.transaction_hash == hash_, entry_table.c.position <= moment.position)
        .limit(COUNT_MAX)
    )
    positions = [row.position for row in reading.database.execute(moved)]
    if positions:
        yield _several("Entry", positions, "what the transaction did to accounts", "entries", shown)
    last = min(moment.position, reading.snapshot.head.last_position)
    # The logs of a transaction stand in one batch or two.
    found = next(reading.snapshot.find(OfTransaction(hash_), 1, last, page_entries=COUNT_MAX), None) if last else None
    if found is not None and found.entries.num_rows:
        logs = found.entries.column("position").to_pylist()[:COUNT_MAX]
        yield _several("LogEntry", logs, "logs of the transaction", "logEntries", shown)


def _of_number(reading: Reading, number: int, moment: Moment) -> Iterator[SearchHit]:
    if 1 <= number <= min(moment.position, reading.snapshot.head.last_position):
        label = "entry of the log at this position"
        yield _one("LogEntry", "position", label, number, f"logEntry(position: {number})")
    moved = select(entry_table.c.position).where(entry_table.c.position == number)
    if number <= moment.position and reading.database.execute(moved).one_or_none() is not None:
        yield _one("Entry", "position", "what the entry at this position moved", number, f"entry(position: {number})")
    yield from _of_block(reading, block_table.c.number == number, "number", moment)


def _of_block(reading: Reading, is_it: ColumnElement[bool], field: str, moment: Moment) -> Iterator[SearchHit]:
    for row in reading.database.execute(select(block_table.c.last_position).where(is_it)):
        if row.last_position <= moment.position:
            ask = f"logEntries(where: {{ position_lte: {row.last_position} }}, orderBy: POSITION_DESC)"
            yield _one("Block", field, "block with log entries, of which this is the last", row.last_position, ask)


def _several(kind: str, positions: Sequence[int], label: str, many: str, shown: str) -> SearchHit:
    ask = f'{many}(where: {{ transactionHash: "{shown}" }})'
    position = Long(positions[0]) if len(positions) == 1 else None
    return SearchHit(kind=kind, field="transactionHash", count=len(positions), label=label, position=position, ask=ask)


def _one(kind: str, field: str, label: str, position: int | None, ask: str) -> SearchHit:
    place = None if position is None else Long(position)
    return SearchHit(kind=kind, field=field, count=1, label=label, position=place, ask=ask)

"""The schema: what can be asked, and which read answers it.

Every root field that reads the books takes ``at``; without it the answer is of the books' end.
"""

import sys
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Final

import strawberry
from graphql import GraphQLError, GraphQLSchema
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext, get_object_definition
from typing_extensions import override

from deepnode_graphql.connections import FIRST_DEFAULT, Connection
from deepnode_graphql.deprecations import deprecate
from deepnode_graphql.live.place import PLACE_SCALAR, LivePlace
from deepnode_graphql.live.subscription import subscription_type
from deepnode_graphql.moments import At, Moment
from deepnode_graphql.naming import Names, describe
from deepnode_graphql.nodes import Account, Amount, Asset, Balance, Entry, Info, Posting
from deepnode_graphql.reads.accounts import (
    AccountWhere,
    find_account,
    holder_totals,
    list_accounts,
    list_accounts_of_holder,
)
from deepnode_graphql.reads.balances import BalanceOrder, BalanceWhere, list_balances
from deepnode_graphql.reads.entries import EntryOrder, EntryWhere, find_entry, list_entries
from deepnode_graphql.reads.log_conditions import LogEntryWhere
from deepnode_graphql.reads.log_entries import LogEntry, LogEntryOrder, find_log_entry, list_log_entries
from deepnode_graphql.reads.meta import Meta, read_meta
from deepnode_graphql.reads.postings import PostingOrder, PostingWhere, list_postings
from deepnode_graphql.reads.without_effect import (
    Quarantined,
    Refusal,
    RefusalWhere,
    Reorg,
    list_quarantine,
    list_refusals,
    list_reorgs,
)
from deepnode_graphql.registers.related import Page
from deepnode_graphql.registers.types import made_of, python_name, resolve
from deepnode_graphql.scalars import SCALARS, Address, Long
from deepnode_projections.registers.record import Record
from deepnode_projections.rules.book import RECORDS

KINDS: Final[Sequence[type[Record]]] = RECORDS
"""The kinds of records that the books keep."""

AtArgument = Annotated[At | None, strawberry.argument(description="The moment to read; the books' end if left out.")]
First = Annotated[int, strawberry.argument(description="How many rows, 1 to 1000.")]
After = Annotated[str | None, strawberry.argument(description="The cursor behind which to go on.")]


@strawberry.type
class Holder:
    """An address, and the accounts whose sum is its token balance.

    Attributes:
        address: the address.
    """

    moment: strawberry.Private[Moment]
    page: strawberry.Private[Page]
    address: Address

    @strawberry.field
    def balances(self, info: Info) -> list[Amount]:
        """What it holds of each asset that it ever held: it equals the token's balanceOf."""
        return holder_totals(info.context, self.address, self.moment)

    @strawberry.field
    def accounts(
        self, info: Info, first: First = FIRST_DEFAULT, after: After = strawberry.UNSET
    ) -> Connection[Account]:
        """Its accounts, by name."""
        return list_accounts_of_holder(info.context, self.address, self.moment, first, after or None)


def _meta(info: Info, at: AtArgument = strawberry.UNSET) -> Meta:
    """What the response is of: position, block, finality, versions and state root."""
    return read_meta(info.context, info.context.moment(at))


@strawberry.type
class Query:
    """What can be asked of the books and of the log behind them."""

    meta: Meta = strawberry.field(resolver=_meta, name="_meta")

    @strawberry.field
    def assets(self, info: Info) -> list[Asset]:
        """The tokens that the books keep, in the order of the manifest."""
        return list(info.context.assets.values())

    @strawberry.field
    def account(self, info: Info, name: str, at: AtArgument = strawberry.UNSET) -> Account | None:
        """The account of that name; null if it has no posting."""
        return find_account(info.context, name, info.context.moment(at))

    @strawberry.field
    def accounts(
        self,
        info: Info,
        first: First = FIRST_DEFAULT,
        after: After = strawberry.UNSET,
        where: AccountWhere | None = strawberry.UNSET,
        at: AtArgument = strawberry.UNSET,
    ) -> Connection[Account]:
        """The accounts that have postings, by name."""
        return list_accounts(info.context, where, info.context.moment(at), first, after or None)

    @strawberry.field
    def holder(self, info: Info, address: Address, at: AtArgument = strawberry.UNSET) -> Holder:
        """What an address holds, over all accounts that its token balance includes."""
        return _holder(Holder, info, address, at)

    @strawberry.field
    def balances(
        self,
        info: Info,
        first: First = FIRST_DEFAULT,
        after: After = strawberry.UNSET,
        where: BalanceWhere | None = strawberry.UNSET,
        order_by: BalanceOrder = BalanceOrder.ACCOUNT_ASC,
        at: AtArgument = strawberry.UNSET,
    ) -> Connection[Balance]:
        """What accounts hold of assets. To walk all of them in the order of amounts, give `at`: amounts change."""
        return list_balances(info.context, where, order_by, info.context.moment(at), first, after or None)

    @strawberry.field
    def postings(
        self,
        info: Info,
        first: First = FIRST_DEFAULT,
        after: After = strawberry.UNSET,
        where: PostingWhere | None = strawberry.UNSET,
        order_by: PostingOrder = PostingOrder.POSITION_ASC,
        at: AtArgument = strawberry.UNSET,
    ) -> Connection[Posting]:
        """The lines of the books."""
        return list_postings(info.context, where, order_by, info.context.moment(at), first, after or None)

    @strawberry.field
    def entry(self, info: Info, position: Long, at: AtArgument = strawberry.UNSET) -> Entry | None:
        """What the log entry at a position did to the books; null if it moved nothing."""
        return find_entry(info.context, position, info.context.moment(at))

    @strawberry.field
    def entries(
        self,
        info: Info,
        first: First = FIRST_DEFAULT,
        after: After = strawberry.UNSET,
        where: EntryWhere | None = strawberry.UNSET,
        order_by: EntryOrder = EntryOrder.POSITION_ASC,
        at: AtArgument = strawberry.UNSET,
    ) -> Connection[Entry]:
        """What events did to the books, with their postings."""
        return list_entries(info.context, where, order_by, info.context.moment(at), first, after or None)

    @strawberry.field
    def log_entry(self, info: Info, position: Long, at: AtArgument = strawberry.UNSET) -> LogEntry | None:
        """The entry of the log at a position."""
        return find_log_entry(info.context, position, info.context.moment(at))

    @strawberry.field
    def log_entries(
        self,
        info: Info,
        first: First = FIRST_DEFAULT,
        after: After = strawberry.UNSET,
        where: LogEntryWhere | None = strawberry.UNSET,
        order_by: LogEntryOrder = LogEntryOrder.POSITION_ASC,
        at: AtArgument = strawberry.UNSET,
    ) -> Connection[LogEntry]:
        """The log itself. With several conditions a page may be short and still have a next one."""
        return list_log_entries(info.context, where, order_by, info.context.moment(at), first, after or None)

    @strawberry.field
    def refusals(
        self,
        info: Info,
        first: First = FIRST_DEFAULT,
        after: After = strawberry.UNSET,
        where: RefusalWhere | None = strawberry.UNSET,
        at: AtArgument = strawberry.UNSET,
    ) -> Connection[Refusal]:
        """Events that the rules give no effect, oldest first."""
        return list_refusals(info.context, where, info.context.moment(at), first, after or None)

    @strawberry.field
    def quarantine(
        self,
        info: Info,
        first: First = FIRST_DEFAULT,
        after: After = strawberry.UNSET,
        at: AtArgument = strawberry.UNSET,
    ) -> Connection[Quarantined]:
        """Logs that the manifest's ABIs cannot read, oldest first."""
        return list_quarantine(info.context, info.context.moment(at), first, after or None)

    @strawberry.field
    def reorgs(self, info: Info, first: First = FIRST_DEFAULT, after: After = strawberry.UNSET) -> Connection[Reorg]:
        """The reorgs that the books have followed, oldest first."""
        return list_reorgs(info.context, first, after or None)


def _holder(made: type[Holder], info: Info, address: Address, at: At | None) -> Holder:
    moment = info.context.moment(at)
    return made(moment=moment, page=Page(info.context, moment), address=address)


class LedgerSchema(strawberry.Schema):
    """The schema with what the API needs of it beside execution."""

    @property
    def core(self) -> GraphQLSchema:
        """The schema as graphql-core has it, for parsing, validation and cost."""
        return self._schema

    @override
    def _get_custom_context_kwargs(
        self, operation_extensions: dict[str, Any] | None = None, *, sync: bool = False
    ) -> dict[str, Any]:
        # What does not fit a type is refused without a guess at what was meant: guessing compares each name with all
        # others, and tells strangers what there is.
        return {**super()._get_custom_context_kwargs(operation_extensions, sync=sync), "hide_suggestions": True}

    @override
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        # Whoever executes looks at the errors: the library would print the clients' mistakes to our log.
        return


def make_schema(*extensions: type[SchemaExtension], kinds: Sequence[type[Record]] = KINDS) -> LedgerSchema:
    """Build the schema, with the docstrings as its descriptions.

    Args:
        extensions: of the library.
        kinds: the kinds of records that can be asked for, beside what the schema always has.
    """
    return _made(extensions, tuple(kinds))


def taken_names() -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the types and of the root fields that the schema has without records."""
    core = LedgerSchema(Query, config=_config()).core
    assert core.query_type is not None
    return frozenset(core.type_map), frozenset(core.query_type.fields)


@cache
def _made(extensions: tuple[type[SchemaExtension], ...], kinds: tuple[type[Record], ...]) -> LedgerSchema:
    taken, definition = taken_names(), get_object_definition(Holder, strict=True)
    records = made_of(kinds, *taken, [field.name for field in definition.fields])
    # Classes of these names and docstrings, so that the types are called and described as without records.
    links = {python_name(link): link.made for link in records.links_of_holder}
    holder: Any = strawberry.type(type(Holder.__name__, (Holder,), {"__doc__": Holder.__doc__, **links}))
    resolve(holder, records.links_of_holder, records.nodes)
    members: dict[str, Any] = {"__doc__": Query.__doc__, "holder": _finds_holder(holder), **records.root_fields}
    query = strawberry.type(type(Query.__name__, (Query,), members))
    subscription = subscription_type(kinds, *taken, records.root_fields)
    made = LedgerSchema(query, subscription=subscription, config=_config(), extensions=extensions)
    describe(made.core)
    deprecate(made.core)
    return made


def _finds_holder(holder: Any) -> Any:
    def find(info: Info, address: Address, at: AtArgument = strawberry.UNSET) -> Holder:
        return _holder(holder, info, address, at)

    return strawberry.field(resolver=find, graphql_type=holder, description=Query.holder.__doc__)


def _config() -> StrawberryConfig:
    return StrawberryConfig(name_converter=Names(), scalar_map={**SCALARS, LivePlace: PLACE_SCALAR})


def schema_text() -> str:
    """Print the schema in GraphQL's own language."""
    return make_schema().as_str() + "\n"


if __name__ == "__main__":
    # python -m deepnode_graphql.schema > graphql/schema.graphql
    sys.stdout.write(schema_text())

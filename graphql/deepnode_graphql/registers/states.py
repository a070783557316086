"""The state of a register at a moment, as a source for queries.

A row holds from its position until the next row of its key, and nothing is ever removed, so at any time there is one
open row for each key that there ever was. At the books' end the state is these. Before it, there are two ways:

- In the order of keys, the open rows are gone through by their index, and for each the newest row up to the position is
  looked up by the primary key: a page costs a few index entries for each of its rows, however long the histories are.
- In any other order all rows must be looked at anyway, and the condition on both ends of a row decides.
"""

from sqlalchemy import FromClause, or_, select, true

from deepnode_graphql.moments import Moment
from deepnode_graphql.registers.register import Register


def state_at(register: Register, moment: Moment, *, by_key: bool) -> FromClause:
    """Return rows of (key, position, the other fields): one for each thing that there was at the moment.

    Args:
        register: which records.
        moment: of which state.
        by_key: whether the rows are found by their key, and no other field is a condition.
    """
    table = register.table
    columns = [table.c[each.name] for each in register.fields]
    if moment.present:
        return select(*columns, table.c.position).where(table.c.until.is_(None)).subquery("state")
    if not by_key:
        held = table.c.position <= moment.position, or_(table.c.until.is_(None), table.c.until > moment.position)
        return select(*columns, table.c.position).where(*held).subquery("state")
    open_row = table.alias("open_row")
    newest = (
        select(*columns, table.c.position)
        .where(*(table.c[each.name] == open_row.c[each.name] for each in register.key))
        .where(table.c.position <= moment.position)
        .order_by(table.c.position.desc())
        .limit(1)
        .lateral("newest")
    )
    # The key's columns are the open row's, so that conditions and the order reach its index.
    own = [newest.c[each.name] for each in register.fields[register.kind.KEY :]]
    return (
        select(*(open_row.c[each.name] for each in register.key), *own, newest.c.position)
        .select_from(open_row.join(newest, true()))
        .where(open_row.c.until.is_(None))
        .subquery("state")
    )

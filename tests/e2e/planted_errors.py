"""Errors of one unit, planted in the books or in the SQL that recomputes them: whether the other side shows them."""

from dataclasses import dataclass

from psycopg import sql

from deepnode_projections.recompute import Begun, Compared, relations, statements


@dataclass(frozen=True, slots=True)
class InBooks:
    """One row's ``column`` of the books' ``table`` is one more than it was; ``relation`` must show it."""

    table: str
    column: str
    relation: str


@dataclass(frozen=True, slots=True)
class InSql:
    """In one file of the SQL ``right`` stands once, and ``wrong`` in its place makes ``relation`` differ.

    ``then`` are the files behind it that lead from it to the relation.
    """

    file: str
    right: str
    wrong: str
    relation: str
    then: tuple[str, ...] = ()


IN_BOOKS = (
    InBooks("posting", "balance", "balance"),
    InBooks("posting", "amount", "posting"),
    InBooks("split_total", "buyback", "split_total"),
    InBooks("carry", "creator", "carry"),
    InBooks("collateral", "frozen", "collateral"),
    InBooks("stake_at", "amount", "stake_at"),
    InBooks("task_slot", "credited_vwu", "task_slot"),
    InBooks("work", "weighted", "work"),
    InBooks("validator_work", "in_line", "validator_work"),
    InBooks("model_use", "stars", "model_use"),
    InBooks("model_rank", "relevance", "model_rank"),
    InBooks("trust", "score", "trust"),
    InBooks("allocation", "undistributed", "allocation"),
    InBooks("reward", "amount", "reward"),
    InBooks("earned", "amount", "earned"),
    InBooks("claimed_total", "amount", "claimed_total"),
)

_POSTING = ("25_collateral", "30_staking", "35_funding", "38_governance", "40_revenue", "45_emission", "80_balances")

IN_SQL = (
    InSql(
        "15_registry",
        "row_number() OVER (PARTITION BY r.domain, r",
        "1 + row_number() OVER (PARTITION BY r.domain, r",
        "route",
    ),
    InSql("20_transfers", "(t.receiver, 'Burn', t.value)", "(t.receiver, 'Burn', t.value + 1)", "holding", _POSTING),
    InSql(
        "25_collateral",
        "known.node, e.parts[4], -known.frozen",
        "known.node, e.parts[4], 1 - known.frozen",
        "collateral",
    ),
    InSql("30_staking", "of_staker, epoch_at(place) + 1, more", "of_staker, epoch_at(place), more", "stake_at"),
    InSql("40_revenue", "rest := 1000000 - (", "rest := 1000001 - (", "split_difference"),
    InSql("40_revenue", "behind % 1000000 AS carry", "(behind + 1) % 1000000 AS carry", "carry"),
    InSql("45_emission", "e.amount - paid);", "e.amount - paid + 1);", "posting", ("80_balances",)),
    InSql("50_tasks", "e.slot > (rules", "e.slot >= (rules", "task_slot"),
    InSql("55_work", "sum(c.vwu * t.difficulty)", "sum(c.vwu * (t.difficulty + 1))", "work"),
    InSql("55_work", "r.ratings, r.stars FROM", "r.ratings, r.stars + 1 FROM", "model_use"),
    InSql("58_relevance", "4 * u.ratings", "5 * u.ratings", "model_rank"),
    InSql("60_trust", "(1000000 - alpha)", "(999999 - alpha)", "trust"),
    InSql(
        "70_pools",
        "floor + (rank <= left_over)::int AS amount",
        "floor + (rank < left_over)::int AS amount",
        "pool_difference",
    ),
    InSql(
        "75_rewards",
        "(true, div(p.amount * c.rate, 1000000), ",
        "(true, div(p.amount * c.rate, 1000000) + 1, ",
        "reward",
    ),
    InSql("75_rewards", "l.epoch <= r.epoch", "l.epoch < r.epoch", "expected_root"),
)


def compared(begun: Begun, name: str) -> Compared:
    """Compare one relation."""
    [relation] = [each for each in relations() if each.name == name]
    return relation.compare(begun.cursor)


def run_with_errors(begun: Begun) -> dict[InSql, int]:
    """Run the SQL of a recomputation, each step also with the errors planted in it, which are undone each time.

    Returns:
        How many rows each error made differ.
    """
    steps = dict(statements())
    found = {}
    for name, text in steps.items():
        for planted in IN_SQL:
            if name == f"{planted.file}.sql":
                assert text.count(planted.right) == 1, planted
                with begun.cursor.connection.transaction(force_rollback=True):
                    begun.cursor.execute(text.replace(planted.right, planted.wrong).encode())
                    for later in planted.then:
                        begun.cursor.execute(steps[f"{later}.sql"].encode())
                    found[planted] = compared(begun, planted.relation).differing
        begun.cursor.execute(text.encode())
    return found


def differing_with(begun: Begun, planted: InBooks) -> Compared:
    """Change a row of the books by one unit, and compare; the change is undone."""
    table, column = sql.Identifier("books", planted.table), sql.Identifier(planted.column)
    held = sql.SQL("") if planted.table == "posting" else sql.SQL("AND until IS NULL ")
    # The newest: of balances, the last one alone is what an account has now.
    change = (
        "UPDATE {} SET {} = {} + 1 WHERE ctid = (SELECT ctid FROM {} WHERE {} > 0 {}ORDER BY position DESC LIMIT 1)"
    )
    with begun.cursor.connection.transaction(force_rollback=True):
        begun.cursor.execute(sql.SQL(change).format(table, column, column, table, column, held))
        assert begun.cursor.rowcount == 1, planted
        return compared(begun, planted.relation)

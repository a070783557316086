"""The state is a function of what happened: running balances are sums, and its root depends on nothing else."""

from hypothesis import given, settings
from hypothesis import strategies as st

from deepnode_ledger.manifest import Manifest
from tests.conftest import fresh_database
from tests.ledger.histories import WITHOUT_SHRINKING, opened
from tests.projections import stories as s
from tests.projections.stories import rows, said_in, stepped


@settings(max_examples=10, phases=WITHOUT_SHRINKING)
@given(st.lists(s.anything, min_size=1, max_size=30), st.sampled_from([1, 4, 1000]))
def test_running_balances_and_conservation(
    postgres_url: str, manifest: Manifest, story: list[s.Said], step_entries: int
) -> None:
    """Recomputes each posting's balance as a sum by SQL; entries, assets and holders sum to what they must."""
    with fresh_database(postgres_url) as url, opened(url) as log:
        log.extend(None, [said_in(manifest, 5, story[:10]), said_in(manifest, 6, story[10:])])
        stepped(url, manifest, step_entries, "books")
        wrong = rows(
            url,
            "SELECT * FROM (SELECT position, leg, balance, sum(amount) OVER"
            " (PARTITION BY account_id, asset_id ORDER BY position, leg) AS summed FROM posting) p"
            " WHERE balance <> summed",
        )
        assert wrong == []
        assert rows(url, "SELECT position FROM posting GROUP BY position, asset_id HAVING sum(amount) <> 0") == []
        assert rows(url, "SELECT asset_id FROM balance GROUP BY asset_id HAVING sum(balance) <> 0") == []
        last = rows(
            url,
            "SELECT account_id, asset_id, balance, position FROM (SELECT DISTINCT ON (account_id, asset_id) *"
            " FROM posting ORDER BY account_id, asset_id, position DESC, leg DESC) p ORDER BY 1, 2",
        )
        assert last == rows(url, "SELECT account_id, asset_id, balance, position FROM balance ORDER BY 1, 2")
        firsts = rows(url, "SELECT account_id, min(position) FROM posting GROUP BY 1 ORDER BY 1")
        assert firsts == rows(url, "SELECT account_id, first_position FROM account ORDER BY 1")


@settings(max_examples=10, phases=WITHOUT_SHRINKING)
@given(st.lists(s.anything, max_size=25))
def test_a_state_root_is_the_hash_of_names_and_amounts(
    postgres_url: str, manifest: Manifest, story: list[s.Said]
) -> None:
    """Computes each position's root from books kept by hand, which know no id, no position and no database."""
    with fresh_database(postgres_url) as url, opened(url) as log:
        log.extend(None, [said_in(manifest, 5, story)])
        stepped(url, manifest, 1, "books")
        for position in range(len(story) + 1):
            paper = s.Paper(manifest).book(*story[:position])
            assert s.root_at(url, position) == paper.root()


def test_a_state_root_does_not_depend_on_how_the_state_came_about(postgres_url: str, manifest: Manifest) -> None:
    """Pays in two orders, with detours: other positions, other account ids, the same state."""
    ways = [
        [s.transfer(s.NOBODY, s.ANNA, 10), s.transfer(s.ANNA, s.BEN, 4)],
        [s.transfer(s.NOBODY, s.BEN, 3), s.transfer(s.NOBODY, s.ANNA, 7), s.approval(), s.transfer(s.ANNA, s.BEN, 1)],
    ]
    roots = []
    for way in ways:
        with fresh_database(postgres_url) as url, opened(url) as log:
            log.extend(None, [said_in(manifest, 5, way)])
            stepped(url, manifest, 1000, "books")
            roots.append(s.root_at(url, len(way)))
    assert roots[0] == roots[1]

"""What the chain reports of the whole economy is what the rules give, and the state is the same by every way there."""

import json
from contextlib import closing
from typing import Any

from psycopg import Connection
from typer.testing import CliRunner

from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.projector import Projector, connect
from deepnode_projections.rules.epochs import Epoch
from deepnode_projections.state_root import state_root
from tests.command_line import app
from tests.e2e.real_parts import Devnet, Ledger

BLOCKS = 240
"""So many that several epochs are over, and their roots are submitted and claimed from."""


def differences(connection: Connection[Any]) -> list[tuple[str, str, str]]:
    rows = connection.execute("SELECT subject, what, reason FROM difference WHERE until IS NULL ORDER BY 1, 2, 3")
    return [(row["subject"], row["what"], row["reason"]) for row in rows]


def check_lies(found: list[tuple[str, str, str]]) -> None:
    """The economy submits a wrong root now and then; it is found, and disabled."""
    assert all("the root was disabled" in reason for subject, _, reason in found if subject == "RootSubmitted")


def test_every_fact_is_what_the_rules_give(devnet: Devnet, ledger: Ledger) -> None:
    """Lets the economy play several epochs: thousands of comparisons, and no difference that nothing explains."""
    ledger.live(devnet, BLOCKS)
    with closing(connect(ledger.url, "books")) as connection:
        checked = {
            row["subject"]: (int(row["comparisons"]), int(row["differing"]))
            for row in connection.execute(
                "SELECT subject, sum(comparisons) AS comparisons, sum(differing) AS differing FROM checked"
                " WHERE until IS NULL GROUP BY subject"
            )
        }
        assert {"RevenueSplit", "EpochAllocated", "RootSubmitted", "Claimed", "ProposalTallied"} <= set(checked)
        assert checked["RevenueSplit"][0] > 2_000
        assert checked["EpochAllocated"] == (checked["EpochAllocated"][0], 0)
        found = differences(connection)
        assert [each for each in found if not each[2]] == [], "no difference is without a reason"
        check_lies(found)
        refused = connection.execute("SELECT kind, reason FROM refusal").fetchall()
        assert refused == []


def test_with_reorgs_too_facts_are_what_the_rules_give_and_the_state_is_the_same_by_every_way_there(
    devnet: Devnet, ledger: Ledger
) -> None:
    """Lives through reorgs of 9 and of 25 blocks: nothing is refused, and no fact differs without a reason.

    Then compares roots at each opening of an epoch: live, and rebuilt in steps of 61 and of 5 000.
    """
    ledger.live(devnet, 80)
    devnet.economy.reorg(9)
    ledger.sync()
    ledger.live(devnet, 80)
    # Deep enough to drop an epoch's opening, and the mint, allocations and roots of the one before.
    devnet.economy.reorg(25)
    ledger.sync()
    ledger.live(devnet, 60)
    with closing(connect(ledger.url, "books")) as connection:
        found = differences(connection)
        assert [each for each in found if not each[2]] == []
        assert {subject for subject, _, why in found if "it states what was so by block" in why} == {"TaskAssigned"}
        check_lies(found)
        assert connection.execute("SELECT kind, reason FROM refusal").fetchall() == []
        rows = connection.execute(f"SELECT opened_position FROM {Epoch.TABLE} WHERE until IS NULL ORDER BY epoch")
        moments = [row["opened_position"] - 1 for row in rows]
        assert len(moments) > 3
        live = [to_hex(state_root(connection, position)) for position in moments]
        assert len(set(live)) == len(live)
    settings = ["--database", ledger.url, "--manifest", str(devnet.deployment.manifest), "--json"]
    for epoch, root in enumerate(live):
        told = CliRunner().invoke(app, ["root", *settings, "--epoch", str(epoch)])
        assert json.loads(told.stdout) == {"position": moments[epoch], "stateRoot": root}
    ahead = CliRunner().invoke(app, ["root", *settings, "--epoch", str(len(live))])
    assert "is not over by the books" in str(ahead.exception)
    for step_entries in (61, 5_000):
        schema = f"by_{step_entries}"
        again = Projector(ledger.url, ledger.manifest, schema=schema, step_entries=step_entries)
        again.open()
        try:
            again.catch_up()
        finally:
            again.close()
        with closing(connect(ledger.url, schema)) as connection:
            assert [to_hex(state_root(connection, position)) for position in moments] == live, step_entries

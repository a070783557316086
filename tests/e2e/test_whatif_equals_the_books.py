"""A what-if with unchanged parameters is the books; under 41-41 nothing is made or lost; files are the same again."""

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.cast_of_accounts import FULL, SMALL, Cast
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import load_manifest
from deepnode_ledger.snapshot import snapshot
from deepnode_projections import rulesets
from deepnode_projections.projector import connect
from deepnode_projections.registers.at import StateAt
from deepnode_projections.rules.book import RECORDS
from deepnode_projections.rules.economics import Economics
from deepnode_projections.rules.epochs import Epoch
from deepnode_projections.rules.pools import Earned, Reward
from deepnode_projections.rules.splits import Carry
from deepnode_projections.state_root import state_root
from deepnode_projections.whatif import Scenario, WhatIf, by_role, make, minted_asset, of_pools, preset, run
from tests.command_line import app
from tests.conftest import fresh_database
from tests.e2e.commands import deepnode
from tests.e2e.real_parts import Devnet, Ledger, open_ledger

PAGE = Path(__file__).resolve().parents[2] / "docs" / "whatif.md"

BLOCKS = 100
"""Three epochs of thirty blocks are over."""


@dataclass
class Played:
    """A devnet's ledger, and its manifest's file."""

    ledger: Ledger
    manifest: Path

    @property
    def settings(self) -> dict[str, str]:
        """What the commands are told."""
        return {"DEEPNODE_DATABASE_URL": self.ledger.url, "DEEPNODE_MANIFEST": str(self.manifest)}

    def what_if(self, scenario: Scenario) -> WhatIf:
        """Replay the whole log."""
        with snapshot(self.ledger.log.datastore) as view:
            return run(lambda: view.read(1), self.ledger.manifest, scenario)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Played]:
    """The small economy from seed 7, indexed live."""
    with playing(postgres_url, tmp_path_factory.mktemp("devnet"), SMALL, BLOCKS) as found:
        yield found


@contextmanager
def playing(postgres_url: str, folder: Path, cast: Cast, blocks: int) -> Iterator[Played]:
    """Play an economy from seed 7 and index it live."""
    with fresh_database(postgres_url) as url, Anvil.start() as node:
        deployment = deploy(node.url, folder, cast)
        devnet = Devnet(node, deployment, Economy(node.url, deployment, seed=7), load_manifest(deployment.manifest))
        ledger = open_ledger(url, node.url, devnet.manifest)
        try:
            ledger.live(devnet, blocks)
            yield Played(ledger, deployment.manifest)
        finally:
            ledger.close()


@pytest.fixture(scope="module")
def unchanged(played: Played) -> WhatIf:
    """The log replayed with nothing set."""
    return played.what_if(Scenario())


def test_unchanged_every_record_and_root_is_that_of_the_books(played: Played, unchanged: WhatIf) -> None:
    """Compares all kinds of records with the books' tables, and the roots at the end of each epoch and of the log."""
    assert_books(played, unchanged)


@pytest.mark.soak
def test_unchanged_the_whole_economy_is_that_of_the_books(postgres_url: str, tmp_path: Path) -> None:
    """The same of six domains and three hundred people, over eight epochs; 41-41 gives the figures of the page."""
    with playing(postgres_url, tmp_path, FULL, 330) as played:
        unchanged = played.what_if(Scenario())
        assert_books(played, unchanged)
        assert_divided_again(unchanged)
        shown = CliRunner().invoke(app, ["whatif", "--preset", "41-41"], env=played.settings)
        assert shown.exit_code == 0, shown.output
        figures = re.findall(r"^```text\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
        told = [line for block in figures for line in block.splitlines()]
        assert len(told) > 15
        assert [line for line in told if line not in shown.stdout.splitlines()] == []


def assert_books(played: Played, unchanged: WhatIf) -> None:
    """Compare all records and roots of both replays with the books."""
    with closing(connect(played.ledger.url, "books")) as connection:
        for side in (unchanged.was, unchanged.under):
            at = StateAt(connection, side.position)
            for kind in RECORDS:
                assert list(side.state.every(kind)) == list(at.every(kind)), kind
            assert len(side.ended) >= 3
            ends = [(each.position, each.root) for each in side.ended]
            assert ends == [(position, state_root(connection, position)) for position, _ in ends]
            assert side.root == state_root(connection, side.position)
    assert len(unchanged.was.state.every(Epoch)) >= 4


def test_unchanged_the_pools_splits_and_pressure_divided_again_are_the_books(unchanged: WhatIf) -> None:
    """Compares what a scenario divides by itself: reward lines, sums by earner, carries of splits, economics."""
    assert_divided_again(unchanged)


def assert_divided_again(unchanged: WhatIf) -> None:
    """Compare what was divided again with the books' records."""
    state, under = unchanged.was.state, unchanged.under
    lines = {
        (*where, line.role, line.kind, line.subject, line.earner): line.amount
        for where, pool in under.division.pools.items()
        for line in pool.lines
    }
    books = {
        (each.epoch, each.domain, each.asset, each.role, each.kind, each.subject, each.earner): each.amount
        for each in state.every(Reward)
    }
    assert lines == books
    assert len(books) > 100
    earned: dict[tuple[bytes, bytes, int], int] = {}
    for each in unchanged.changes:
        assert each.difference == 0
        if each.earner:
            key = (each.asset, each.earner, each.epoch)
            earned[key] = earned.get(key, 0) + each.scenario
    assert earned == {(each.asset, each.earner, each.epoch): each.amount for each in state.every(Earned)}
    carried = {(each.model, each.version, each.asset): each.legs for each in state.every(Carry)}
    assert {key: tuple(legs) for key, legs in under.state.carries.items()} == carried
    assert unchanged.splits
    assert all(each.paid == each.was == each.scenario for each in unchanged.splits)
    of_books = {(each.epoch, each.domain): each for each in state.every(Economics)}
    assert {(each.epoch, each.domain) for each in under.pressures} == set(of_books)
    assert all(each.is_as(of_books[each.epoch, each.domain]) for each in under.pressures)
    assert any(each.created for each in under.pressures)


def test_under_41_41_every_domain_gets_the_same_and_nothing_is_made_or_lost(played: Played) -> None:
    """Replays the preset: the mint is halved over two domains, models earn nothing, stakers more; sums are kept."""
    found = played.what_if(make(played.ledger.manifest, settings=preset("41-41").settings))
    minted = minted_asset(played.ledger.manifest)
    assert found.under.division.kept == ()
    assert sum(each.difference for each in found.changes) == 0
    for asset in {each.asset for each in found.changes}:
        assert sum(each.difference for each in found.changes if each.asset == asset) == 0
    moved = {where for where, (was, under) in of_pools(found.changes).items() if was != under}
    assert moved
    assert {asset for _, _, asset in moved} == {minted}
    roles = {each.name: each for each in by_role(found.changes) if each.asset == minted}
    assert roles["creator"].scenario == roles["backer"].scenario == 0
    assert roles["staker"].difference > 0
    assert roles["undistributed"].difference > 0
    # The same revenue, the same prices; less is paid out, as more legs have nobody who earned them.
    assert [each.created for each in found.under.pressures] == [each.created for each in found.was.pressures]
    assert found.was.root != found.under.root


def test_routes_and_models_set_otherwise_split_the_same_payments(played: Played) -> None:
    """Takes 5 % for processors and doubles the creators' part from epoch 2 on: only then legs move, and sum to zero."""
    settings = {"route.*.*.fees": 50_000, "model.*.b": 100_000}
    found = played.what_if(make(played.ledger.manifest, settings=settings, from_epoch=2))
    assert {each.epoch for each in found.splits if each.difference} == {2, 3, 4}
    sums: dict[Any, int] = {}
    for each in found.splits:
        where = (each.epoch, each.domain, each.asset)
        sums[where] = sums.get(where, 0) + each.difference
        assert each.leg in ("creator", "fees", "emission", "suspense") or each.difference == 0, each
    assert set(sums.values()) == {0}


@pytest.mark.soak
@pytest.mark.parametrize("name", [*rulesets.shipped()])
def test_any_ruleset_divides_the_same_sums(played: Played, name: str) -> None:
    """Replays each ruleset that comes with us: pools, revenue and value are as they were, and nobody owes anything."""
    if name == "governed_domains":
        with pytest.raises(BadInput, match=r"set governed\.DOMAIN"):
            played.what_if(make(played.ledger.manifest, ruleset=rulesets.by_name(name)))
        return
    found = played.what_if(make(played.ledger.manifest, ruleset=rulesets.by_name(name)))
    assert sum(each.difference for each in found.changes) == 0
    assert all(each.scenario >= 0 for each in found.changes)
    assert sum(each.difference for each in found.splits) == 0
    assert [each.created for each in found.was.pressures] == [each.created for each in found.under.pressures]


def test_what_is_sold_and_what_a_sale_costs_are_assumptions(played: Played) -> None:
    """Lets a fifth be sold at no loss: needed is a fifth of what was paid out, and nobody gets more or less."""
    settings = {"economics.sold_ppm": 200_000, "economics.value_needed": 1, "economics.per_sold": 1}
    found = played.what_if(make(played.ledger.manifest, settings=settings))
    assert not any(each.difference for each in found.changes)
    for was, under in zip(found.was.pressures, found.under.pressures, strict=True):
        assert (was.emitted, was.created) == (under.emitted, under.created)
        assert was.sold == was.emitted > 0
        assert under.needed == under.sold == -(-was.emitted // 5)
        assert under.two_needed == -(-was.two_emitted // 5)


def test_the_command_writes_the_same_files_in_any_surroundings(played: Played, tmp_path: Path) -> None:
    """Runs 41-41 here, and in a process with another hash seed, time zone and language: equal byte for byte."""
    told = ["whatif", "--preset", "41-41", "--json"]
    made: list[dict[str, bytes]] = []
    for folder in (tmp_path / "here", tmp_path / "there"):
        folder.mkdir()
        files = {option: folder / f"made.{option}" for option in ("arrow", "parquet", "svg")}
        options = [f"--{'chart' if option == 'svg' else option}={path}" for option, path in files.items()]
        if folder.name == "here":
            ran = CliRunner().invoke(app, [*told, *options], env=played.settings)
            assert ran.exit_code == 0, ran.output
            output = ran.stdout
        else:
            others = {"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "LANG": "C"}
            done = deepnode([*told, *options], played.settings | others)
            assert done.returncode == 0, done.stderr
            output = done.stdout
        made.append({name: path.read_bytes() for name, path in files.items()} | {"json": output.encode()})
    assert made[0] == made[1]
    with pa.ipc.open_file(made[0]["arrow"]) as reader:
        table = reader.read_all()
    assert pq.read_table(tmp_path / "here" / "made.parquet").equals(table)
    lines = [json.loads(line) for line in made[0]["json"].decode().splitlines()]
    head = lines[0]
    assert (head["differencesSumTo"], head["position"]) == ("0", played.ledger.projector.catch_up().position)
    assert head["stateRoot"] == played.ledger.root()
    metadata = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
    assert metadata["deepnode.scenario"] == head["scenario"]
    assert metadata["deepnode.state_root"] == head["stateRoot"]
    rows = [line for line in lines if line["table"] == "rewards"]
    shown = [
        {"table": "rewards", **{n: str(v) if n in _AMOUNTS else v for n, v in row.items()}} for row in table.to_pylist()
    ]
    assert rows == shown


_AMOUNTS = ("was", "scenario", "difference")


def test_a_bundle_gives_what_the_database_gives(played: Played, tmp_path: Path) -> None:
    """Makes a bundle of what is sealed, and replays it without a database: its root is that of the books there."""
    bundle = tmp_path / "bundle"
    made = CliRunner().invoke(app, ["bundle", "create", str(bundle), "--unsigned"], env=played.settings)
    assert made.exit_code == 0, made.output
    done = CliRunner().invoke(app, ["whatif", "--bundle", str(bundle), "--json"])
    assert done.exit_code == 0, done.output
    head = json.loads(done.stdout.splitlines()[0])
    with closing(connect(played.ledger.url, "books")) as connection:
        assert head["stateRoot"] == to_hex(state_root(connection, head["position"]))
    assert head["stateRootUnderScenario"] == head["stateRoot"]
    done = CliRunner().invoke(app, ["whatif", "--preset", "41-41", "--bundle", str(bundle)])
    assert done.exit_code == 0, done.output
    assert "all differences sum to 0" in done.stdout
    assert "Facts stay" in done.stdout


def test_what_the_log_does_not_have_is_refused(played: Played) -> None:
    """Names a domain, a model and an epoch that there are not: the refusal says what there is."""
    nobody = "0x" + "77" * 32
    for arguments, said in (
        (["--set", f"weights.{nobody}.miners=1"], f"{nobody} is no domain of this log: there are 0x"),
        (["--set", f"model.{nobody}.a=1"], f"{nobody} is no model of this log: there are 0x"),
        (["--from-epoch", "99"], "from epoch 99: the log ends in epoch 4"),
    ):
        done = CliRunner().invoke(app, ["whatif", *arguments], env=played.settings)
        assert isinstance(done.exception, BadInput), done.output
        assert said in str(done.exception)

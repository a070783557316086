"""Books can be thrown away: made again from the log, they are the same."""

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.manifest import load_manifest
from deepnode_projections.projector import Projector, connect
from deepnode_projections.rebuild import rebuild
from tests.e2e.real_parts import Devnet, Ledger


def test_rebuilt_books_have_the_root_of_those_that_followed_every_reorg(devnet: Devnet, ledger: Ledger) -> None:
    """Books made anew from the log have the state root of the live ones, which went through reorgs."""
    for depth in (3, 8):
        ledger.take_in(devnet.play(40))
        ledger.sync()
        devnet.economy.reorg(depth)
    ledger.take_in(devnet.play(20))
    ledger.sync()
    live = ledger.root()
    with pytest.raises(TryAgain, match="only one may run"):
        rebuild(ledger.url, ledger.manifest)
    ledger.projector.close()
    rebuilt = rebuild(ledger.url, ledger.manifest)
    assert rebuilt.same
    assert "0x" + rebuilt.root.hex() == live
    with closing(connect(ledger.url, "books")) as connection:
        schemas = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'books%'").fetchall()
    assert [row["nspname"] for row in schemas] == ["books"], "nothing is left of the old books"
    ledger.projector.open()
    ledger.take_in(devnet.play(10))
    ledger.sync()
    assert ledger.root() != live, "the new books go on"


def test_another_manifest_asks_for_a_rebuild_and_gets_other_books(
    devnet: Devnet, ledger: Ledger, tmp_path: Path
) -> None:
    """With a manifest without the router the old books are refused; rebuilt ones hold what it says."""
    ledger.take_in(devnet.play(40))
    ledger.sync()
    ledger.projector.close()
    directory = tmp_path / "smaller"
    shutil.copytree(devnet.deployment.manifest.parent, directory)
    manifest = directory / "manifest.toml"
    blocks = manifest.read_text().split("[[contracts]]")
    manifest.write_text("[[contracts]]".join(block for block in blocks if 'kind = "RevenueRouter"' not in block))
    smaller = load_manifest(manifest)
    if not smaller.producers:  # the last contract's block holds what follows it in the file
        smaller = replace(smaller, producers=devnet.manifest.producers)
    with pytest.raises(BadInput, match="deepnode rebuild"):
        Projector(ledger.url, smaller).open()
    rebuilt = rebuild(ledger.url, smaller)
    assert rebuilt.old_root is not None
    assert not rebuilt.same
    with closing(connect(ledger.url, "books")) as connection:
        strangers = connection.execute("SELECT count(*) AS n FROM quarantine").fetchone()
        routers = connection.execute("SELECT count(*) AS n FROM account WHERE owner = 'RevenueRouter'").fetchone()
    assert strangers is not None
    assert strangers["n"] > 10, "the router's logs are in the log, and have no meaning in these books"
    assert routers == {"n": 0}
    ledger.projector = Projector(ledger.url, smaller)

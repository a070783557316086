"""``deepnode audit diff``: every kind of difference is found at its position and called by its name."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from deepnode_cli.auditing.comparison import compare, in_words
from deepnode_cli.auditing.sides import made_hashes, of_bundle, published_hashes
from deepnode_cli.bundling.archive import pack
from deepnode_ledger.bundle import Bundle, open_bundle
from deepnode_ledger.errors import BadInput, Damaged
from deepnode_ledger.hexadecimal import to_hex
from tests.cli.audit_bundles import Row, bundle_of, renumbered, rows
from tests.command_line import app
from tests.ledger.bundle.bundles import small_bundle

COUNT = 1_300
"""Five full tiles and a partial one."""

RULESET = to_hex(b"\x05" * 32)
SEEDS = range(6)


def _dropped(told: list[Row], at: int) -> list[Row]:
    return told[: at - 1] + told[at:]


def _dropped_three(told: list[Row], at: int) -> list[Row]:
    return told[: at - 1] + told[at + 2 :]


def _doubled(told: list[Row], at: int) -> list[Row]:
    return [*told[: at - 1], told[at - 2], *told[at - 1 :]]


def _inserted(told: list[Row], at: int) -> list[Row]:
    return [*told[: at - 1], {**told[at - 1], "data": b"another"}, *told[at - 1 :]]


def _swapped(told: list[Row], at: int) -> list[Row]:
    return [*told[: at - 1], told[at], told[at - 1], *told[at + 1 :]]


def _far_swapped(told: list[Row], at: int) -> list[Row]:
    last = len(told)
    return [*told[: at - 1], told[last - 1], *told[at : last - 1], told[at - 1]]


def _moved(told: list[Row], at: int) -> list[Row]:
    return told[: at - 1] + told[at : at + 20] + [told[at - 1]] + told[at + 20 :]


def _amount(told: list[Row], at: int) -> list[Row]:
    data = bytearray(told[at - 1]["data"])
    data[-1] ^= 1
    return [*told[: at - 1], {**told[at - 1], "data": bytes(data)}, *told[at:]]


def _rewritten(told: list[Row], at: int) -> list[Row]:
    return told[: at - 1] + [{**row, "data": b"other"} for row in told[at - 1 :]]


KINDS: Mapping[str, tuple[Callable[[list[Row], int], list[Row]], str, int, tuple[str, ...]]] = {
    "dropped": (_dropped, "missing", 1, ()),
    "three dropped": (_dropped_three, "missing", 3, ()),
    "doubled": (_doubled, "added", 1, ()),
    "inserted": (_inserted, "added", 1, ()),
    "swapped": (_swapped, "order", 2, ()),
    "moved": (_moved, "order", 21, ()),
    "an amount": (_amount, "changed", 1, ("data",)),
}


@pytest.fixture(scope="module")
def told() -> list[Row]:
    """The entries of the first log."""
    return rows(COUNT)


@pytest.fixture(scope="module")
def whole(told: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of them."""
    return bundle_of(tmp_path_factory.mktemp("whole") / "bundle", told)


def opened(path: Path) -> Bundle:
    """A bundle that is closed with the process."""
    return open_bundle(path)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_difference_is_found_at_its_position(
    name: str, seed: int, told: list[Row], whole: Path, tmp_path: Path
) -> None:
    """Changes the log at a random position, makes a bundle of it whose hashes are all right, and compares both ways."""
    change, kind, entries, fields = KINDS[name]
    at = random.Random(f"{name} {seed}").randint(2, COUNT - 40)
    path = bundle_of(tmp_path / "bundle", renumbered(change(told, at)))
    one, other = of_bundle(opened(whole)), of_bundle(opened(path))
    found = compare(one, other)
    assert not found.same
    assert found.first is not None
    assert (found.first.position, found.first.kind, found.first.entries) == (at, kind, entries)
    assert found.first.doubled == (name == "doubled")
    if fields:
        assert tuple(each.field for each in found.first.fields) == fields
        assert found.positions == [at]
    back = compare(other, one).first
    turned = {"missing": "added", "added": "missing"}
    assert back is not None
    assert (back.position, back.kind) == (at, turned.get(kind, kind))
    assert f"from position {at} on they differ" in in_words(found)


@pytest.mark.parametrize("at", [1, 2, COUNT - 3, COUNT - 1])
def test_differences_at_the_ends_are_found(at: int, told: list[Row], whole: Path, tmp_path: Path) -> None:
    """Swaps, drops and changes the first entries and the last ones."""
    one = of_bundle(opened(whole))
    for name in ("dropped", "swapped", "an amount"):
        change, kind, entries, _ = KINDS[name]
        path = bundle_of(tmp_path / name, renumbered(change(told, at)))
        first = compare(one, of_bundle(opened(path))).first
        assert first is not None
        assert (first.position, first.kind, first.entries) == (at, kind, entries), name


def test_entries_that_are_far_apart_and_have_changed_places_are_called_so(
    told: list[Row], whole: Path, tmp_path: Path
) -> None:
    """Swaps entry 300 with the last one: nothing between them differs."""
    path = bundle_of(tmp_path / "bundle", renumbered(_far_swapped(told, 300)))
    found = compare(of_bundle(opened(whole)), of_bundle(opened(path)))
    assert found.first is not None
    assert (found.first.kind, found.first.position, found.positions) == ("order", 300, [300, COUNT])


def test_another_history_is_unlike(told: list[Row], whole: Path, tmp_path: Path) -> None:
    """Writes every entry from 500 on anew: the first difference is there, and nothing is alike behind it."""
    path = bundle_of(tmp_path / "bundle", _rewritten(told, 500))
    found = compare(of_bundle(opened(whole)), of_bundle(opened(path)))
    assert found.first is not None
    assert (found.first.kind, found.first.position) == ("unlike", 500)
    assert found.positions == list(range(500, 600))


@pytest.mark.parametrize("count", [1, 255, 256, 257, COUNT - 1])
def test_a_shorter_bundle_of_the_same_log_is_its_beginning(
    count: int, told: list[Row], whole: Path, tmp_path: Path
) -> None:
    """Compares the log with its first entries, in both orders: no difference, and yet not the same."""
    path = bundle_of(tmp_path / "bundle", told[:count])
    for sides in ((whole, path), (path, whole)):
        found = compare(*(of_bundle(opened(each)) for each in sides))
        assert found.is_prefix
        assert not found.same
        assert found.mismatches == []
        assert f"{path} is the beginning of {whole}: their first {count} entries are the same" == in_words(found)


def test_state_roots_rulesets_and_manifests_are_compared(told: list[Row], tmp_path: Path) -> None:
    """Two bundles of the same entries that say other things beside them: each is named with both values."""
    epochs = [(0, 10, b"\1" * 32), (1, 50, b"\2" * 32)]
    one = bundle_of(tmp_path / "one", told, epochs=epochs, rulesets=[RULESET])
    other = bundle_of(tmp_path / "other", told, epochs=[epochs[0], (1, 50, b"\3" * 32)], manifest=b"\4" * 32)
    found = compare(of_bundle(opened(one)), of_bundle(opened(other)))
    assert not found.same
    assert found.first is None
    assert found.epochs == 2
    assert [(each.part, each.what, each.one, each.other) for each in found.mismatches] == [
        ("manifest", "digest", to_hex(bytes(32)), to_hex(b"\4" * 32)),
        ("rulesets", RULESET, "is there", "is missing"),
        ("state root", "epoch 1", to_hex(b"\2" * 32), to_hex(b"\3" * 32)),
    ]


def test_checkpoints_of_one_log_are_proved_consistent(told: list[Row], tmp_path: Path) -> None:
    """A bundle of 700 entries signed at 1 000, and one of 1 300 signed there: the older head is in the newer tree."""
    one = bundle_of(tmp_path / "one", told[:700], signed=told[:1_000])
    other = bundle_of(tmp_path / "other", told, signed=told)
    found = compare(of_bundle(opened(one)), of_bundle(opened(other)))
    assert (found.checkpoints, found.mismatches, found.is_prefix) == (1, [], True)


def test_a_log_that_was_shown_in_two_ways_is_found_by_its_checkpoints(told: list[Row], tmp_path: Path) -> None:
    """Both bundles hold the same 700 entries; what was signed behind them differs, at the same size and at another."""
    forged = [*told[:900], {**told[900], "data": b"forged"}, *told[901:]]
    one = bundle_of(tmp_path / "one", told[:700], signed=told[:1_000])
    same_size = bundle_of(tmp_path / "same size", told[:700], signed=forged[:1_000])
    longer = bundle_of(tmp_path / "longer", forged, signed=forged)
    for other in (same_size, longer):
        found = compare(of_bundle(opened(one)), of_bundle(opened(other)))
        assert found.first is None
        assert [(each.part, each.what.split(",")[0]) for each in found.mismatches] == [
            ("checkpoint", "of 1000 entries")
        ]


def test_a_root_that_its_tiles_do_not_lead_to_is_named(told: list[Row], whole: Path, tmp_path: Path) -> None:
    """A bundle whose list states another root, with all else as it is."""
    path = bundle_of(tmp_path / "bundle", told)
    listed = path / "bundle.json"
    stated = open_bundle(path).contents.root
    listed.write_bytes(listed.read_bytes().replace(stated.encode(), to_hex(b"\7" * 32).encode()))
    found = compare(of_bundle(opened(whole)), of_bundle(opened(path)))
    assert [each.part for each in found.mismatches] == ["root"]


def test_log_files_that_contradict_tiles_that_agree_are_read(told: list[Row], whole: Path, tmp_path: Path) -> None:
    """The entries of one bundle are changed, its tiles are the other's, and its list knows: found in the log file."""
    path = bundle_of(tmp_path / "bundle", _amount(told, 777))
    for tile in (whole / "tile").rglob("*"):
        if tile.is_file():
            (path / tile.relative_to(whole)).write_bytes(tile.read_bytes())
    _list_anew(path, whole)
    found = compare(of_bundle(opened(whole)), of_bundle(opened(path)))
    assert found.first is not None
    assert (found.first.position, found.first.kind, found.positions) == (777, "changed", [777])


def _list_anew(path: Path, like: Path) -> None:
    """Let a bundle's list tell tiles and root as another one has them."""
    listed, other = json.loads((path / "bundle.json").read_bytes()), json.loads((like / "bundle.json").read_bytes())
    theirs = {each["path"]: each for each in other["files"]}
    listed["files"] = [theirs[e["path"]] if e["path"].startswith("tile/") else e for e in listed["files"]]
    listed["root"] = other["root"]
    text = json.dumps(listed, sort_keys=True, separators=(",", ":"))
    (path / "bundle.json").write_text(text + "\n")


def test_hashes_that_are_made_of_entries_find_the_same(told: list[Row], whole: Path, tmp_path: Path) -> None:
    """Compares with a side that has no tiles, as a live ledger without a published log."""
    path = bundle_of(tmp_path / "bundle", _amount(told, 431))
    one, other = of_bundle(opened(whole)), of_bundle(opened(path))
    bare = type(other)(
        *("bare", other.entries, made_hashes(other.read, other.entries), other.read, True, None),
        *(other.chain_id, other.manifest, None, None),
    )
    found = compare(one, bare)
    assert found.first is not None
    assert (found.first.position, found.positions) == (431, [431])
    assert all(bare.hashes(level, 0) == other.hashes(level, 0) for level in range(11))


def test_hashes_that_a_log_was_published_with_are_read(told: list[Row], whole: Path, tmp_path: Path) -> None:
    """Reads those of a published log, which has a checkpoint and tiles as a signed bundle does; then a tile is gone."""
    folder = bundle_of(tmp_path / "published", told, signed=told)
    hashes, others = published_hashes(folder), of_bundle(opened(whole)).hashes
    assert hashes.size == COUNT
    assert all(hashes(level, 0) == others(level, 0) for level in range(11))
    with pytest.raises(BadInput, match="no published log"):
        published_hashes(whole)
    (folder / "tile/0/001").unlink()
    with pytest.raises(Damaged, match="tile/0/001 is missing"):
        published_hashes(folder)(0, 300)


def test_the_command_tells_by_its_exit_code_and_reads_tars(told: list[Row], whole: Path, tmp_path: Path) -> None:
    """Compares a bundle with the same as a tar (0), with another (3) as text and JSON, and with what is none (1)."""
    copied = bundle_of(tmp_path / "copied", told)
    tar = pack(copied)
    other = bundle_of(tmp_path / "other", _amount(told, 99))

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(app, ["audit", "diff", *map(str, arguments)])

    assert run(whole, tar).exit_code == 0
    text = run(whole, other)
    assert text.exit_code == 3
    assert text.stdout.startswith("from position 99 on they differ: an entry changed\n  data: 0x")
    found: dict[str, Any] = json.loads(run(whole, other, "--json").stdout)
    assert (found["same"], found["first"]["position"], found["first"]["kind"]) == (False, 99, "changed")
    assert isinstance(run(whole, tmp_path).exception, BadInput)
    assert run("live", whole).exit_code == 2


def test_the_live_ledger_is_compared_with_its_bundle(database_url: str, tmp_path: Path) -> None:
    """Compares a log in a database with a bundle of its beginning and with a forged one."""
    with small_bundle(database_url, tmp_path, behind=60) as bundle:
        entries, settings = bundle.contents.entries, ["--database", database_url, "--no-state-roots", "--json"]
        settings += ["--manifest", str(tmp_path / "manifest.toml")]
        told = [row for batch in bundle.batches() for row in batch.to_pylist()]

    def run(*names: str | Path) -> tuple[int, dict[str, Any]]:
        done = CliRunner().invoke(app, ["audit", "diff", *map(str, names), *settings])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, json.loads(done.stdout)

    code, found = run(tmp_path / "bundle", "live")
    assert (code, found["isPrefix"], found["entries"]) == (3, True, [entries, entries + 60])
    assert (found["mismatches"], found["checkpoints"]) == ([], 1)
    forged = bundle_of(tmp_path / "forged", _amount(told, 200))
    code, found = run("live", forged)
    assert (code, found["first"]["position"], found["first"]["kind"]) == (3, 200, "changed")
    assert found["positions"] == [200]


def test_hostile_text_is_shown_and_does_nothing(told: list[Row], tmp_path: Path) -> None:
    """Names a producer with an escape sequence in one bundle, and in another one with bytes that are no text."""
    event = {"kind": 2, "producer": "urn:p", "event_id": "e1", "sequence": 1, "event_type": "t", "signature": bytes(65)}
    chain_columns = dict.fromkeys(("transaction_hash", "transaction_index", "log_index", "address", "topic0"))
    task = {**told[9], **chain_columns, **event}
    paths = [
        bundle_of(tmp_path / name, [*told[:9], {**task, "producer": producer}, *told[10:20]])
        for name, producer in (("one", "urn:p"), ("other", "urn:\x1b[2Jp"))
    ]
    done = CliRunner().invoke(app, ["audit", "diff", *map(str, paths)])
    assert done.exit_code == 3
    assert r"producer: 'urn:p' → 'urn:\x1b[2Jp'" in done.stdout
    assert "\x1b" not in done.stdout
    side = of_bundle(opened(paths[0]))
    column = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff"))
    no_text = pa.RecordBatch.from_arrays([column], names=["producer"])
    with pytest.raises(Damaged, match="entries 1 to 1 cannot be read"):
        replace(side, read=lambda _first, _last: iter([no_text])).rows(1, 1)

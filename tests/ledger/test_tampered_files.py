"""A published file that is changed, added or removed is named by the check, with the byte where it begins."""

from pathlib import Path

import pytest

from deepnode_ledger.log import Log
from tests.ledger import signed_log
from tests.ledger.tampering import differences, superuser


@pytest.fixture
def signed(log: Log) -> Log:
    """A log with a row in every table, signed at its end."""
    signed_log.live(log)
    signed_log.sign(log, 100)
    signed_log.sign(log, len(signed_log.leaves(log)))
    return log


@pytest.mark.parametrize(
    ("name", "data", "where"),
    [
        ("tile/0/000", b"", "tile/0/000, byte 0"),
        ("tile/0/000", None, "tile/0/000"),
        ("tile/1/000.p/1", None, "tile/1/000.p/1"),
        ("tile/1/000.p/1", bytes(32), "tile/1/000.p/1, byte 0"),
        ("tile/0/000.p/3", bytes(96), "tile/0/000.p/3, byte 0"),
        ("tile/0/001.p/255", bytes(255 * 32), "tile/0/001.p/255"),
        ("tile/0/002", bytes(256 * 32), "tile/0/002"),
        ("tile/5/000", bytes(256 * 32), "tile/5/000"),
        ("tile/entries/000", b"\x00\x00", "tile/entries/000, byte"),
        ("tile/entries/000", None, "tile/entries/000"),
        ("tile/entries/x001/000", b"", "tile/entries/x001/000"),
        ("checkpoint", b"nothing signed\n", "checkpoint"),
    ],
)
def test_a_changed_file_is_named(signed: Log, tmp_path: Path, name: str, data: bytes | None, where: str) -> None:
    """Changes, adds or removes one file of a published log."""
    size = len(signed_log.leaves(signed))
    assert 256 < size < 511
    with superuser(signed) as connection:
        connection.execute("DELETE FROM log.checkpoint WHERE size = %s", (size,))
        connection.execute("DELETE FROM log.cosignature WHERE size = %s", (size,))
    signed_log.sign(signed, size, tmp_path)
    (tmp_path / "tile/.note.new").write_bytes(b"left by a crash")
    assert differences(signed, tmp_path) == []
    if data is None:
        (tmp_path / name).unlink()
    else:
        signed_log.write(tmp_path / name, data)
    assert differences(signed, tmp_path)[0].where.startswith(where)


def test_every_byte_of_a_tile_counts(signed: Log, tmp_path: Path) -> None:
    """Flips a bit in each of the files in turn, at its end."""
    size = len(signed_log.leaves(signed))
    with superuser(signed) as connection:
        connection.execute("DELETE FROM log.checkpoint WHERE size = %s", (size,))
        connection.execute("DELETE FROM log.cosignature WHERE size = %s", (size,))
    signed_log.sign(signed, size, tmp_path)
    for path in sorted(tmp_path.rglob("tile/**/*")):
        if path.is_file():
            right = path.read_bytes()
            path.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
            [found] = differences(signed, tmp_path)
            assert found.where == f"{path.relative_to(tmp_path).as_posix()}, byte {len(right) - 1}"
            path.write_bytes(right)


@pytest.mark.parametrize("name", ["another size", "another signature"])
def test_a_checkpoint_file_that_the_table_does_not_hold(signed: Log, tmp_path: Path, name: str) -> None:
    """Publishes a checkpoint of a size that was never stored, and one whose signature is another."""
    text = signed_log.sign(signed, 40, tmp_path)
    if name == "another size":
        text = text.replace("\n40\n", "\n39\n")
    else:
        text = text[:-9] + ("A" if text[-9] != "A" else "B") + text[-8:]
    (tmp_path / "checkpoint").write_text(text)
    assert differences(signed, tmp_path)[0].where.startswith("checkpoint")

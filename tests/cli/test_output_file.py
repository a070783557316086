"""A file that a command writes has its name once it is whole, and a pipe stays a pipe."""

import os
from pathlib import Path
from threading import Thread

import pytest

from deepnode_cli import output_file
from deepnode_ledger.errors import BadInput


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """Writes into a folder that is not there, and over a folder."""
    with pytest.raises(BadInput, match="cannot be written: No such file"):
        output_file.write(tmp_path / "none" / "c.svg", b"")
    with pytest.raises(BadInput, match="cannot be written: Is a directory"):
        output_file.write(tmp_path, b"")
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays_until_the_new_file_is_whole(tmp_path: Path) -> None:
    """Fails in the middle of a file that takes the place of another one, then does not."""
    path = tmp_path / "report.txt"
    path.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError):
        _write_half(path)
    assert path.read_bytes() == b"before"
    output_file.write(path, b"all of it")
    assert path.read_bytes() == b"all of it"
    assert list(tmp_path.iterdir()) == [path]


def _write_half(path: Path) -> None:
    with output_file.whole_file(path) as file:
        file.write(b"half of it")
        raise ZeroDivisionError


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """Writes to a pipe that somebody reads."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    output_file.write(path, b"here")
    reader.join()
    assert read == [b"here"]
    assert path.is_fifo()

"""`deepnode keys` makes a key that is its owner's alone, and never shows the secret half."""

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deepnode_cli.keys import load_signer
from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency import Signer, Verifier, open_note
from deepnode_ledger.transparency.note import sign
from tests.command_line import app

ORIGIN = "log.example/deepnode"


def keys(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["keys", *map(str, arguments)])


def test_a_new_key_is_its_owners_alone(tmp_path: Path) -> None:
    """Makes a key, reads its file's mode, signs with it, and verifies by what was printed."""
    made = keys("new", "--name", ORIGIN, tmp_path / "log.key")
    assert made.exit_code == 0
    assert stat.S_IMODE((tmp_path / "log.key").stat().st_mode) == 0o600
    verifier = Verifier.parse(made.stdout.strip())
    assert verifier.name == ORIGIN
    note = sign("a text\n", [load_signer(tmp_path / "log.key")])
    assert open_note(str(note), [verifier]).text == "a text\n"
    assert keys("show", tmp_path / "log.key").stdout == made.stdout


def test_no_key_is_made_twice(tmp_path: Path) -> None:
    """Makes two keys of one name."""
    assert keys("new", "--name", ORIGIN, tmp_path / "1").stdout != keys("new", "--name", ORIGIN, tmp_path / "2").stdout


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """Names a file that is there, and a link to nowhere; neither is written to."""
    (tmp_path / "log.key").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("log.key", "link"):
        refused = keys("new", "--name", ORIGIN, tmp_path / name)
        assert isinstance(refused.exception, BadInput)
        assert "a key is never overwritten" in str(refused.exception)
    assert (tmp_path / "log.key").read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["", "two words", "a+b", "x" * 300])
def test_a_name_that_no_key_may_have_makes_no_file(tmp_path: Path, name: str) -> None:
    """Tries names that a signature line could not hold."""
    assert isinstance(keys("new", "--name", name, tmp_path / "log.key").exception, BadInput)
    assert list(tmp_path.iterdir()) == []


def test_no_message_holds_the_secret(tmp_path: Path) -> None:
    """Reads key files that are cut off, altered, doubled and of another type; the messages name the file alone."""
    secret = Signer(ORIGIN, bytes(range(32))).secret_text()
    material = secret.rpartition("+")[2]
    for text in (secret[:-1], secret.replace("+AQ", "+BA"), secret + secret, "x" + secret, secret.swapcase()):
        (tmp_path / "log.key").write_text(text)
        for result in (keys("show", tmp_path / "log.key"), keys("new", "--name", ORIGIN, tmp_path / "log.key")):
            assert isinstance(result.exception, BadInput)
            assert str(tmp_path / "log.key") in str(result.exception)
            assert material[2:20] not in str(result.exception) + result.output
            assert result.exception.__cause__ is None or material[2:20] not in str(result.exception.__cause__)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"x" * 5000])
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    """Reads an empty file, one that is no text, one that is too long, a directory, and one that is not there."""
    (tmp_path / "log.key").write_bytes(content)
    for path in (tmp_path / "log.key", tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BadInput, match="the key file"):
            load_signer(path)

"""Signed notes: what opens is signed by a trusted key to the last byte, and everything else is refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency import Note, NotSigned, Signature, Signer, Verifier, Witness, open_note
from deepnode_ledger.transparency.note import NOTE_BYTES_MAX, SIGNATURES_MAX, parse, parse_signatures, sign
from tests.ledger.transparency.growing_log import OTHER, SIGNER

TEXT = "a text\n\nwith a blank line\n"
NOTE = str(sign(TEXT, [SIGNER]))
VERIFIER = SIGNER.verifier
# The specification's own example (C2SP signed-note, "Verifier keys").
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = """\
This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""


def line_of(note: str) -> str:
    return note[note.rindex("— ") :]


def test_the_specifications_example_opens() -> None:
    """Opens the note of the specification with its key."""
    opened = open_note(EXAMPLE.encode(), [Verifier.parse(EXAMPLE_KEY)])
    assert opened.text == "This is an example message.\n"
    assert str(opened.note) == EXAMPLE
    assert str(Verifier.parse(EXAMPLE_KEY)) == EXAMPLE_KEY


@given(
    st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]) | st.just("\n")).map(lambda text: text + "\n")
)
def test_what_is_signed_opens(text: str) -> None:
    """Signs any text with two keys, and opens it with either and with both."""
    note = sign(text, [OTHER, SIGNER])
    assert parse(str(note).encode()) == note
    for keys in ([VERIFIER], [OTHER.verifier], [VERIFIER, OTHER.verifier]):
        opened = open_note(str(note), keys)
        assert opened.text == text
        assert {line.name for line in opened.verified} == {key.name for key in keys}


@given(st.integers(0, len(NOTE.encode()) - 1), st.integers(0, 7))
def test_a_note_with_one_bit_changed_never_opens(at: int, bit: int) -> None:
    """Flips any bit of a note."""
    raw = bytearray(NOTE.encode())
    raw[at] ^= 1 << bit
    with pytest.raises(BadInput):
        open_note(bytes(raw), [VERIFIER])


@given(st.integers(0, len(NOTE.encode()) - 1))
def test_a_note_that_is_cut_never_opens(end: int) -> None:
    """Cuts a note anywhere."""
    with pytest.raises(BadInput):
        open_note(NOTE.encode()[:end], [VERIFIER])


@given(st.binary(max_size=300) | st.text(max_size=300) | st.text("\n— Aa=+/9", max_size=80))
def test_anything_else_is_refused_with_a_reason(raw: bytes | str) -> None:
    """Opens noise, also such that looks like lines of a note: nothing but ``BadInput`` comes of it."""
    with pytest.raises(BadInput):
        open_note(raw, [VERIFIER])


def test_a_stranger_neither_helps_nor_harms() -> None:
    """Puts signatures of unknown keys around a good one: one with the name and another id, one the other way round."""
    good = line_of(NOTE)
    renamed = Signature("other.example/name", SIGNER.key_id, bytes(64))
    same_name = Signature(SIGNER.name, b"\x00\x00\x00\x00", bytes(64))
    note = f"{TEXT}\n{renamed}{same_name}{good}{renamed}"
    assert [str(line) for line in open_note(note, [VERIFIER]).verified] == [good]
    with pytest.raises(NotSigned, match=r"no trusted key has signed the note; it bears other\.example/name"):
        open_note(f"{TEXT}\n{renamed}{same_name}", [VERIFIER])


def test_a_wrong_signature_under_a_trusted_name_refuses_the_note() -> None:
    """Joins a good signature and one that is wrong, of the same key and of another trusted one, before and behind."""
    good, wrong = line_of(NOTE), str(Signature(SIGNER.name, SIGNER.key_id, bytes(64)))
    other = str(Signature(OTHER.name, OTHER.key_id, bytes(64)))
    for lines in (good + wrong, wrong + good, good + other, other + good):
        with pytest.raises(NotSigned, match="is not one over this text"):
            open_note(f"{TEXT}\n{lines}", [VERIFIER, OTHER.verifier])
    assert open_note(f"{TEXT}\n{good}{other}", [VERIFIER]).signed_by(VERIFIER)


def test_a_key_counts_once() -> None:
    """Repeats a signature; a quorum that counts what is verified must not be fooled."""
    opened = open_note(NOTE + line_of(NOTE), [VERIFIER, VERIFIER])
    assert len(opened.verified) == 1
    assert opened.signed_by(VERIFIER) == opened.verified[0]
    assert opened.signed_by(OTHER.verifier) is None


def test_two_keys_of_one_name_and_id_are_refused() -> None:
    """Trusts an impostor's key whose id was made to collide (here by a class that says so)."""

    class Colliding(Verifier):
        key_id = VERIFIER.key_id

    impostor = Colliding(SIGNER.name, OTHER.verifier.public_key)
    with pytest.raises(BadInput, match="two trusted keys are named"):
        open_note(NOTE, [VERIFIER, impostor])


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        (TEXT, "signature line is"),
        ("no blank line\n", "blank line"),
        ("text\n\n", "at least one"),
        (NOTE[:-1], "end in a newline"),
        (NOTE + "\n", "at least one"),
        (NOTE + "more\n", "signature line is"),
        (NOTE.replace("— ", "- "), "signature line is"),
        (NOTE.replace("— ", "—"), "signature line is"),
        (NOTE.replace("— ", "—  "), "base64|1 to 256"),
        (NOTE.replace(SIGNER.name, ""), "1 to 256 characters, not 0"),
        (NOTE.replace(SIGNER.name, "a+b"), "no white space, plus"),
        (NOTE.replace(SIGNER.name, "a\u00a0b"), "no white space, plus"),
        (NOTE.replace(SIGNER.name, "n" * 257), "1 to 256 characters, not 257"),
        (NOTE[:-1] + " \n", "base64"),
        (NOTE[:-2] + "\n", "base64"),
        (NOTE.replace("\n", "\r\n"), "control character"),
        ("\x00" + NOTE, "control character"),
        (NOTE.replace("a text", "a\ttext"), "control character"),
        (NOTE.encode() + b"\xff", "UTF-8"),
        (NOTE + "\ud800", "UTF-8"),
        (f"{TEXT}\n— name AAAA\n", "key id has 4 bytes, not 3"),
        (f"{TEXT}\n— name AAAAAA==\n", "signature has 1 to"),
        (f"{TEXT}\n— name AAAAAAA=\n" + "— name AAAAAAB=\n", "canonical base64"),
    ],
)
def test_a_malformed_note_is_refused(note: str | bytes, reason: str) -> None:
    """Breaks one rule of the format at a time."""
    with pytest.raises(BadInput, match=reason):
        open_note(note, [VERIFIER])


def test_a_note_has_limits() -> None:
    """Opens notes with as many signatures and bytes as are allowed, and with one more."""
    stranger = "— stranger AAAAAAA=\n"
    note = NOTE + stranger * (SIGNATURES_MAX - 1)
    assert open_note(note, [VERIFIER]).verified
    with pytest.raises(BadInput, match="100 signatures, not 101"):
        open_note(note + stranger, [VERIFIER])
    text = "é" * ((NOTE_BYTES_MAX - 200) // 2) + "\n"
    assert open_note(str(sign(text, [SIGNER])), [VERIFIER]).text == text
    for raw in ("é" * (NOTE_BYTES_MAX // 2) + NOTE, b"x" * NOTE_BYTES_MAX + NOTE.encode()):
        with pytest.raises(BadInput, match="may have 1000000 bytes"):
            open_note(raw, [VERIFIER])
    with pytest.raises(BadInput, match="signature has 1 to"):
        Signature("name", bytes(4), bytes(16 * 1024 + 1))


def test_only_a_text_that_a_note_may_have_is_signed() -> None:
    """Signs texts without a last newline, with control characters, and without a signer."""
    for text in ("", "no newline", "a\r\n", "\ud800\n"):
        with pytest.raises(BadInput):
            sign(text, [SIGNER])
    with pytest.raises(BadInput, match="1 to 100 signatures, not 0"):
        sign("text\n", [])


def test_lines_are_read_on_their_own() -> None:
    """Reads a witness's answer: lines without a text."""
    lines = line_of(NOTE) * 2
    assert "".join(map(str, parse_signatures(lines.encode()))) == lines
    for raw in ("", "\n", lines[:-1], lines + "\n"):
        with pytest.raises(BadInput):
            parse_signatures(raw)
    assert str(Note(TEXT, parse_signatures(line_of(NOTE)))) == NOTE


@given(st.from_regex(r"[a-z0-9./-]{1,40}", fullmatch=True), st.binary(min_size=32, max_size=32))
def test_keys_have_one_text_form(name: str, seed: bytes) -> None:
    """Writes both halves of any key and reads them back."""
    signer = Signer(name, seed)
    assert Signer.parse(signer.secret_text()).verifier == signer.verifier
    assert Verifier.parse(str(signer.verifier)) == signer.verifier
    assert signer.secret_text().startswith(f"PRIVATE+KEY+{name}+{signer.key_id.hex()}+")


def test_a_generated_key_is_new() -> None:
    """Makes two keys of one name."""
    one, other = Signer.generate("log.example"), Signer.generate("log.example")
    assert one.verifier != other.verifier
    with pytest.raises(BadInput, match="no white space"):
        Signer.generate("log example")


def test_a_signer_keeps_its_secret() -> None:
    """Looks for the seed, in any spelling, in all that a signer says of itself and in what refuses a damaged key."""
    secret = SIGNER.secret_text()
    told = [repr(SIGNER), str(SIGNER), f"{SIGNER}"]
    for damaged in (
        secret[:-4],
        secret.replace("+log", "+lag"),
        secret[12:],
        secret + "=",
        secret.replace("PRIVATE", ""),
    ):
        with pytest.raises(BadInput) as refused:
            Signer.parse(damaged)
        told.append(str(refused.value))
        assert refused.value.__context__ is refused.value.__cause__ is None
    encoded = secret.rpartition("+")[2]
    for text in told:
        assert not re.search(re.escape(encoded[:12]), text)
        assert bytes(range(32)).hex()[:12] not in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+530d903a",
        EXAMPLE_KEY.replace("foo", "bar"),
        EXAMPLE_KEY.replace("530d903a", "530D903A"),
        EXAMPLE_KEY.replace("530d903a", "530d903b"),
        EXAMPLE_KEY.replace("530d903a", "30d903a"),
        EXAMPLE_KEY.replace("+Aek", "+Bek"),
        EXAMPLE_KEY[:-4],
        EXAMPLE_KEY + "\n",
        EXAMPLE_KEY + " ",
        "a b" + EXAMPLE_KEY,
        EXAMPLE_KEY * 20,
    ],
)
def test_a_damaged_verifier_key_is_refused(text: str) -> None:
    """Reads keys with a part missing, of another type, with another id or name, and too long ones."""
    with pytest.raises(BadInput):
        Verifier.parse(text)


def test_a_key_is_of_one_type() -> None:
    """Reads a log's key as a witness's and the other way round."""
    witness = Witness(VERIFIER.name, VERIFIER.public_key)
    assert witness.key_id != VERIFIER.key_id
    with pytest.raises(BadInput, match="type 0x04, not 0x01"):
        Witness.parse(str(VERIFIER))
    with pytest.raises(BadInput, match="type 0x01, not 0x04"):
        Verifier.parse(str(witness))


def test_keys_have_32_bytes() -> None:
    """Makes keys of other lengths."""
    with pytest.raises(BadInput, match="seed has 32 bytes, not 31"):
        Signer("name", bytes(31))
    with pytest.raises(BadInput, match="public key has 32 bytes, not 33"):
        Verifier("name", bytes(33))

"""Cosignatures: a witness's line says when it saw a checkpoint, and counts only over that text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency import (
    NotSigned,
    Signature,
    Signer,
    TreeHead,
    Witness,
    WitnessSigner,
    add_cosignatures,
    open_checkpoint,
    sign_head,
    time_of,
)
from tests.ledger.transparency.growing_log import SIGNER

HEAD = TreeHead(SIGNER.name, 7, bytes(32))
TEXT = str(HEAD)
CHECKPOINT = str(sign_head(HEAD, [SIGNER]))
ONE = WitnessSigner("witness.example/w1", bytes(range(3, 35)))
TWO = WitnessSigner("witness.example/w2", bytes(range(4, 36)))
TRUSTED = [ONE.verifier, TWO.verifier]
NOW = 1_679_315_147


def test_what_a_witness_signs() -> None:
    """Compares the signed bytes with the specification's form, by a plain Ed25519 signature over them."""
    line = ONE.cosign(TEXT, NOW)
    message = f"cosignature/v1\ntime 1679315147\n{TEXT}"
    assert line.signature[:8] == NOW.to_bytes(8, "big")
    # The same key as a signer of plain notes makes the same 64 bytes of the same message.
    assert line.signature[8:] == Signer(ONE.name, bytes(range(3, 35))).sign(message)
    assert time_of(line) == NOW


@given(st.integers(1, 2**63 - 1))
def test_a_cosigned_checkpoint_opens(time_seconds: int) -> None:
    """Adds a line of any time and opens the checkpoint with the log's key and the witness's."""
    note = add_cosignatures(CHECKPOINT, str(ONE.cosign(TEXT, time_seconds)), TRUSTED)
    opened = open_checkpoint(str(note), SIGNER.verifier, TRUSTED)
    assert opened.head == HEAD
    assert [(line.name, time_of(line)) for line in opened.cosignatures] == [(ONE.name, time_seconds)]
    assert len(opened.log_signatures) == 1


def test_keys_of_witnesses_have_a_text_form() -> None:
    """Writes and reads both halves."""
    assert Witness.parse(str(ONE.verifier)) == ONE.verifier
    assert WitnessSigner.parse(ONE.secret_text()).verifier == ONE.verifier
    assert isinstance(WitnessSigner.generate("witness.example").verifier, Witness)
    with pytest.raises(BadInput):
        WitnessSigner.parse(SIGNER.secret_text())


def test_lines_of_strangers_are_left_out() -> None:
    """Adds an answer of a known witness, an unknown one, and one whose form is not known here."""
    stranger = WitnessSigner("witness.example/w3", bytes(32)).cosign(TEXT, NOW)
    newer_form = Signature(ONE.name, b"\x06\x06\x06\x06", bytes(2428))
    answer = f"{stranger}{ONE.cosign(TEXT, NOW)}{newer_form}"
    assert str(add_cosignatures(CHECKPOINT, answer, TRUSTED)) == CHECKPOINT + str(ONE.cosign(TEXT, NOW))
    assert str(add_cosignatures(CHECKPOINT, str(stranger), TRUSTED)) == CHECKPOINT


def test_a_witness_has_one_line() -> None:
    """Adds lines of two witnesses, and again a later one of the first, which takes the place of its earlier one."""
    note = add_cosignatures(CHECKPOINT, f"{ONE.cosign(TEXT, NOW)}{TWO.cosign(TEXT, NOW)}", TRUSTED)
    later = str(add_cosignatures(str(note), str(ONE.cosign(TEXT, NOW + 1)), TRUSTED))
    assert later == CHECKPOINT + str(TWO.cosign(TEXT, NOW)) + str(ONE.cosign(TEXT, NOW + 1))


@pytest.mark.parametrize(
    "line",
    [
        ONE.cosign(TEXT.replace("7", "8"), NOW),
        Signature(ONE.name, ONE.key_id, bytes(72)),
        Signature(ONE.name, ONE.key_id, bytes(8) + ONE.cosign(TEXT, NOW).signature[8:]),
        Signature(ONE.name, ONE.key_id, (NOW + 1).to_bytes(8, "big") + ONE.cosign(TEXT, NOW).signature[8:]),
        Signature(ONE.name, ONE.key_id, b"\xff" * 8 + ONE.cosign(TEXT, NOW).signature[8:]),
        Signature(ONE.name, ONE.key_id, ONE.cosign(TEXT, NOW).signature[:71]),
        Signature(ONE.name, ONE.key_id, ONE.cosign(TEXT, NOW).signature + b"\x00"),
        Signature(ONE.name, ONE.key_id, TWO.cosign(TEXT, NOW).signature),
        Signature(ONE.name, ONE.key_id, Signer(ONE.name, bytes(range(3, 35))).sign(TEXT)),
    ],
)
def test_a_wrong_line_of_a_known_witness_is_refused(line: Signature) -> None:
    """Adds lines over another text, of another time, length or key, and a plain signature; also to an opened note."""
    with pytest.raises(NotSigned, match=r"witness\.example/w1"):
        add_cosignatures(CHECKPOINT, str(line), TRUSTED)
    with pytest.raises(NotSigned, match=r"witness\.example/w1"):
        open_checkpoint(CHECKPOINT + str(line), SIGNER.verifier, TRUSTED)
    # Who does not know the witness does not care.
    assert open_checkpoint(CHECKPOINT + str(line), SIGNER.verifier, [TWO.verifier]).cosignatures == ()


def test_a_log_key_does_not_cosign_and_a_witness_does_not_sign() -> None:
    """Gives one secret both types: a line of one never verifies as the other, because the ids differ."""
    seed = bytes(range(5, 37))
    log, witness = Signer("both.example", seed), WitnessSigner("both.example", seed)
    head = TreeHead("both.example", 7, bytes(32))
    note = str(sign_head(head, [log]))
    assert open_checkpoint(note, log.verifier, [witness.verifier]).cosignatures == ()
    assert log.key_id != witness.key_id


def test_only_checkpoints_are_cosigned_at_a_time() -> None:
    """Cosigns a text that is no checkpoint, and at times that the format does not have."""
    with pytest.raises(BadInput, match="a checkpoint has"):
        ONE.cosign("text\n", NOW)
    for time_seconds in (0, -1, 2**63):
        with pytest.raises(BadInput, match="the time of a cosignature"):
            ONE.cosign(TEXT, time_seconds)
    with pytest.raises(BadInput, match="72 bytes, not 64"):
        time_of(Signature("log", bytes(4), bytes(64)))


@pytest.mark.parametrize("answer", ["", "\n", "not a line\n", str(ONE.cosign(TEXT, NOW))[:-1], "<html></html>\n"])
def test_an_answer_that_is_no_lines_is_refused(answer: str) -> None:
    """Adds what a broken witness, or something that is none, may answer."""
    with pytest.raises(BadInput):
        add_cosignatures(CHECKPOINT, answer, TRUSTED)

"""Checkpoints and the proofs that carry them: strict texts, signed by the log, vouched for by witnesses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.errors import BadInput
from deepnode_ledger.transparency import (
    EMPTY_ROOT,
    AddCheckpoint,
    InclusionProof,
    NotProven,
    NotSigned,
    Signer,
    TreeHead,
    WitnessSigner,
    consistency_proof,
    inclusion_proof,
    open_checkpoint,
    parse_add_checkpoint,
    parse_head,
    parse_proof,
    parse_size,
    sign_head,
)
from tests.ledger.transparency.growing_log import OTHER, SIGNER, GrowingLog, entries_of

ROOT = bytes(range(32))
HEAD = TreeHead("log.example/deepnode", 20_852_163, ROOT)
TEXT = "log.example/deepnode\n20852163\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
WITNESS = WitnessSigner("witness.example/w1", bytes(range(2, 34)))

lines = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]), min_size=1, max_size=20)
hashes = st.binary(min_size=32, max_size=32)


def test_a_head_is_three_lines() -> None:
    """Compares with the text written by hand, with and without extension lines."""
    assert str(HEAD) == TEXT
    assert parse_head(TEXT) == HEAD
    assert parse_head(TEXT + "more\nlines\n").extensions == ("more", "lines")


@given(st.builds(TreeHead, lines, st.integers(1, 2**63 - 1), hashes, st.lists(lines, max_size=3).map(tuple)))
def test_a_head_is_read_as_it_is_written(head: TreeHead) -> None:
    """Writes any head, signs it, and opens it."""
    assert parse_head(str(head)) == head
    note = str(sign_head(head, [SIGNER]))
    assert open_checkpoint(note, SIGNER.verifier, origin=head.origin).head == head


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        TEXT[:-1],
        TEXT + "\n",
        TEXT + "\nmore\n",
        "\n" + TEXT,
        TEXT.replace("2085", "02085"),
        TEXT.replace("2085", "+2085"),
        TEXT.replace("2085", "2_085"),
        TEXT.replace("20852163", "9223372036854775808"),
        TEXT.replace("20852163", "99999999999999999999"),
        TEXT.replace("20852163", "-1"),
        TEXT.replace("20852163", "0x1"),
        TEXT.replace("20852163", ""),
        TEXT.replace("20852163", "\u0661"),
        TEXT.replace("20852163", "0"),
        TEXT.replace("Hh8=", "Hh8"),
        TEXT.replace("Hh8=", "Hh9="),
        TEXT.replace("Hh8=", "HQ=="),
        TEXT.replace("AAEC", " AAEC"),
        TEXT.replace("AAEC", "__EC"),
        TEXT.replace("\n", "\r\n"),
        "x" * 70_000 + TEXT,
    ],
)
def test_another_text_is_no_head(text: str) -> None:
    """Breaks one rule of the format at a time."""
    with pytest.raises(BadInput):
        parse_head(text)


@pytest.mark.parametrize(
    "parts",
    [("", 1, ROOT), ("a\nb", 1, ROOT), ("a", -1, ROOT), ("a", 2**63, ROOT), ("a", 1, ROOT[:31]), ("a", 0, ROOT)],
)
def test_a_head_that_no_log_has_is_not_made(parts: tuple[Any, ...]) -> None:
    """Makes heads that could not be written, or that the empty tree does not have."""
    with pytest.raises(BadInput):
        TreeHead(*parts)
    assert TreeHead("a", 0, EMPTY_ROOT).size == 0


def test_a_witness_does_not_stand_in_for_the_log() -> None:
    """Opens a checkpoint that a witness has cosigned and the log has not signed."""
    cosigned = f"{TEXT}\n{WITNESS.cosign(TEXT, 1)}"
    with pytest.raises(NotSigned, match=r"not signed by log\.example/deepnode"):
        open_checkpoint(cosigned, SIGNER.verifier, [WITNESS.verifier])


def test_a_checkpoint_is_of_its_log() -> None:
    """Opens another log's checkpoint that the right key has signed, and one by a key whose name is not the origin."""
    foreign = str(sign_head(TreeHead("other.example", 1, ROOT), [SIGNER]))
    with pytest.raises(BadInput, match=r"origin must be 'log.example/deepnode', not 'other.example'"):
        open_checkpoint(foreign, SIGNER.verifier)
    assert open_checkpoint(foreign, SIGNER.verifier, origin="other.example").head.size == 1


def test_a_log_may_have_several_keys() -> None:
    """Rotates a key: checkpoints by the old, by the new and by both open with both; no key at all is refused."""
    new = Signer(SIGNER.name, bytes(32))
    keys = [SIGNER.verifier, new.verifier]
    for signers in ([SIGNER], [new], [SIGNER, new]):
        opened = open_checkpoint(str(sign_head(HEAD, signers)), keys)
        assert len(opened.log_signatures) == len(signers)
    with pytest.raises(NotSigned):
        open_checkpoint(str(sign_head(HEAD, [OTHER])), keys)
    with pytest.raises(BadInput, match="at least one key"):
        open_checkpoint(str(sign_head(HEAD, [OTHER])), [])


def test_a_signed_text_that_is_no_head_is_refused() -> None:
    """Signs something else with the log's key."""
    from deepnode_ledger.transparency.note import sign

    with pytest.raises(BadInput, match="a checkpoint has an origin"):
        open_checkpoint(str(sign("log.example/deepnode\n", [SIGNER])), SIGNER.verifier)


LOG = GrowingLog(entries_of(600), run=7)
PROOF = InclusionProof(77, tuple(inclusion_proof(77, 600, LOG.hashes())), LOG.checkpoint(), b"extra data")


def test_a_proof_stands_alone() -> None:
    """Writes a proof, reads it and verifies it with nothing but the entry and the log's key."""
    text = str(PROOF)
    assert text.startswith("c2sp.org/tlog-proof@v1\nextra ZXh0cmEgZGF0YQ==\nindex 77\n")
    assert text.endswith("\n\n" + LOG.checkpoint())
    for raw in (text, text.encode()):
        assert parse_proof(raw) == PROOF
    assert parse_proof(text).verify(LOG.entries[77], SIGNER.verifier).head.root == LOG.edge.root


@pytest.mark.parametrize("size", [1, 2, 300])
def test_every_entry_of_a_log_has_its_proof(size: int) -> None:
    """Writes, reads and verifies the proof of each entry; the only entry of a log has no hashes."""
    log = GrowingLog(entries_of(size))
    for index, entry in enumerate(log.entries):
        proof = InclusionProof(index, tuple(inclusion_proof(index, size, log.hashes())), log.checkpoint())
        assert parse_proof(str(proof)) == proof
        proof.verify(entry, SIGNER.verifier)


def test_a_proof_is_of_one_entry_one_log_and_one_index() -> None:
    """Verifies with another entry, another key, another origin and another index."""
    with pytest.raises(NotProven, match="leaf 77 and its proof lead to the root"):
        PROOF.verify(LOG.entries[78], SIGNER.verifier)
    with pytest.raises(NotSigned):
        PROOF.verify(LOG.entries[77], OTHER.verifier)
    with pytest.raises(BadInput, match="origin"):
        PROOF.verify(LOG.entries[77], SIGNER.verifier, origin="other.example")
    with pytest.raises(NotProven):
        InclusionProof(78, PROOF.hashes, PROOF.checkpoint).verify(LOG.entries[77], SIGNER.verifier)
    with pytest.raises(NotProven, match="has no leaf 600"):
        InclusionProof(600, PROOF.hashes, PROOF.checkpoint).verify(LOG.entries[77], SIGNER.verifier)


def test_a_quorum_of_witnesses_may_be_asked_for() -> None:
    """Verifies a proof whose checkpoint one of two trusted witnesses has cosigned."""
    other = WitnessSigner("witness.example/w2", bytes(32))
    witnesses = [WITNESS.verifier, other.verifier]
    opened = open_checkpoint(LOG.checkpoint(), SIGNER.verifier)
    checkpoint = LOG.checkpoint() + str(WITNESS.cosign(opened.signed.text, 5))
    proof = InclusionProof(77, PROOF.hashes, checkpoint)
    verified = proof.verify(LOG.entries[77], SIGNER.verifier, witnesses=witnesses, quorum=1)
    assert [line.name for line in verified.cosignatures] == [WITNESS.name]
    with pytest.raises(NotSigned, match="2 witnesses must have cosigned, not 1"):
        proof.verify(LOG.entries[77], SIGNER.verifier, witnesses=witnesses, quorum=2)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("proof@v1\n", "proof@v2\n"),
        ("c2sp.org", " c2sp.org"),
        ("index 77", "index 077"),
        ("index 77", "index  77"),
        ("index 77", "index -1"),
        ("index 77", "index 9223372036854775807"),
        ("index 77\n", ""),
        ("index 77\n", "index 77\nindex 77\n"),
        ("extra ZXh0cmEgZGF0YQ==", "extra ZXh0cmEgZGF0YQ"),
        ("extra ZXh0cmEgZGF0YQ==", "extra "),
        ("extra ZXh0cmEgZGF0YQ==", "extra"),
        ("extra ZXh0cmEgZGF0YQ==", "extra eA==\nextra eA=="),
        ("\n\nlog.example", "\nlog.example"),
        ("\n\nlog.example", "\nAAAA\n\nlog.example"),
        ("\n\nlog.example", "\n" + "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n" * 64 + "\nlog.example"),
        ("\n", "\r\n"),
    ],
)
def test_a_malformed_proof_is_refused(old: str, new: str) -> None:
    """Breaks one rule of the format at a time."""
    assert old in str(PROOF)
    with pytest.raises(BadInput):
        parse_proof(str(PROOF).replace(old, new, 1 if old != "\n" else -1))


@given(st.binary(max_size=200) | st.text("c2sp.org/tlog-proof@v1\nindex extra0=", max_size=100))
def test_noise_is_no_proof_and_no_request(raw: bytes | str) -> None:
    """Reads noise as a proof and as a witness's request: nothing but ``BadInput`` comes of it."""
    for parse in (parse_proof, parse_add_checkpoint):
        with pytest.raises(BadInput):
            parse(raw)


def test_a_proof_has_limits() -> None:
    """Makes proofs with one hash, byte or number too many."""
    for index, found, extra in ((-1, (), b""), (0, (ROOT,) * 64, b""), (0, (b"",), b""), (0, (), bytes(65_537))):
        with pytest.raises(BadInput):
            InclusionProof(index, found, "", extra)
    with pytest.raises(BadInput, match="a proof may have"):
        parse_proof("c2sp.org/tlog-proof@v1\nindex 0\n\n" + "x" * 1_200_000)


def test_a_witness_is_asked_as_the_specification_says() -> None:
    """Writes the request for a log that grew from 300 to 600, and the first one for a log, and reads both."""
    proof = tuple(consistency_proof(300, 600, LOG.hashes()))
    request = AddCheckpoint(300, proof, LOG.checkpoint())
    top, _, checkpoint = str(request).partition("\n\n")
    assert top.split("\n")[0] == "old 300"
    assert len(top.split("\n")) == 1 + len(proof)
    assert checkpoint == LOG.checkpoint()
    assert parse_add_checkpoint(str(request).encode()) == request
    first = AddCheckpoint(0, (), LOG.checkpoint())
    assert str(first) == "old 0\n\n" + LOG.checkpoint()
    assert parse_add_checkpoint(str(first)) == first


@pytest.mark.parametrize(
    "top",
    [
        "",
        "old",
        "old ",
        "old 01",
        "old -1",
        "new 1",
        "old 9223372036854775808",
        "old 5\nAAAA",
        "old 0\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "old 5" + "\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" * 64,
        "\nold 5",
    ],
)
def test_a_malformed_request_is_refused(top: str) -> None:
    """Breaks one rule of the request's head at a time."""
    with pytest.raises(BadInput):
        parse_add_checkpoint(f"{top}\n\n{LOG.checkpoint()}")


def test_a_request_has_limits() -> None:
    """Makes requests that no witness would read."""
    for old, proof in ((-1, ()), (2**63, ()), (0, (ROOT,)), (1, (ROOT,) * 64), (1, (b"",))):
        with pytest.raises(BadInput):
            AddCheckpoint(old, proof, "")


def test_a_witness_names_the_size_that_it_knows() -> None:
    """Reads the body of the answer 409, and others."""
    assert parse_size(b"20852014\n") == 20_852_014
    assert parse_size("0\n") == 0
    for raw in ("", "\n", "1", "01\n", "1\n\n", "1 \n", "9223372036854775808\n", "1" * 100):
        with pytest.raises(BadInput):
            parse_size(raw)

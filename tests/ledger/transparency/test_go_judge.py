"""Code that is not ours agrees: Go's sumdb/note and sumdb/tlog accept what we publish, and refuse it altered."""

from base64 import b64encode
from pathlib import Path

import pytest

from deepnode_ledger.transparency import (
    EMPTY_ROOT,
    Signer,
    TreeHead,
    Verifier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    open_checkpoint,
    open_note,
    root_of,
    sign_head,
)
from deepnode_ledger.transparency.tree import leaf_hashes
from tests.ledger.transparency.go_judge import GoJudge, Refused
from tests.ledger.transparency.growing_log import OTHER, SIGNER, GrowingLog, entries_of

VKEY = str(SIGNER.verifier)


def alter(data: bytes, at: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 600, 65_536, 70_001])
def test_go_reads_a_whole_published_log(go_judge: GoJudge, tmp_path: Path, size: int) -> None:
    """Writes a log as files, in runs of odd length, and lets Go read each tile and bundle and prove some entries."""
    log = GrowingLog(entries_of(size), run=max(1, size // 3))
    log.publish(tmp_path)
    seen = go_judge.check_directory(tmp_path, VKEY)
    assert (seen["size"], seen["entries"]) == (size, size)
    assert seen["root"] == b64encode(log.edge.root).decode()


def test_go_reads_the_empty_log(go_judge: GoJudge, tmp_path: Path) -> None:
    """Publishes a log without entries: a checkpoint and nothing else."""
    GrowingLog().publish(tmp_path)
    assert go_judge.check_directory(tmp_path, VKEY)["root"] == b64encode(EMPTY_ROOT).decode()


def test_go_accepts_each_proof_of_small_trees(go_judge: GoJudge) -> None:
    """Gives Go the inclusion proof of each leaf, and the consistency proof from each size, for sizes 1 to 40."""
    log = GrowingLog(entries_of(40), run=1)
    hashes = log.hashes()
    roots = [root_of(leaf_hashes(log.entries[:size])) for size in range(41)]
    for size in range(1, 41):
        for index in range(size):
            proof = inclusion_proof(index, size, hashes)
            go_judge.check_inclusion(proof, size, roots[size], index, leaf_hash(log.entries[index]))
            proof = consistency_proof(index + 1, size, hashes)
            go_judge.check_consistency(proof, size, roots[size], index + 1, roots[index + 1])


def test_go_accepts_proofs_of_larger_trees(go_judge: GoJudge) -> None:
    """Gives Go a proof of each kind for every size to 600, and for sizes around the second level of tiles."""
    log = GrowingLog(entries_of(70_001), run=30_000)
    hashes = log.hashes()
    leaves = leaf_hashes(log.entries)
    for size in [*range(1, 601), 65_535, 65_536, 65_537, 70_000, 70_001]:
        root = root_of(leaves[:size])
        for index in {0, size * 7 // 11, size - 1}:
            go_judge.check_inclusion(inclusion_proof(index, size, hashes), size, root, index, leaves[index])
        old = size * 5 // 8 + 1
        go_judge.check_consistency(consistency_proof(old, size, hashes), size, root, old, root_of(leaves[:old]))


def test_go_refuses_a_proof_with_anything_altered(go_judge: GoJudge) -> None:
    """Takes a proof that Go accepts and changes the leaf, the root, a hash, the index and the length in turn."""
    log = GrowingLog(entries_of(300))
    leaf, root, size, index = leaf_hash(log.entries[7]), log.edge.root, 300, 7
    proof = inclusion_proof(index, size, log.hashes())
    go_judge.check_inclusion(proof, size, root, index, leaf)
    for altered in [
        (proof, size, root, index, alter(leaf)),
        (proof, size, alter(root), index, leaf),
        ([alter(proof[0]), *proof[1:]], size, root, index, leaf),
        (proof, size, root, index + 1, leaf),
        (proof[:-1], size, root, index, leaf),
    ]:
        with pytest.raises(Refused):
            go_judge.check_inclusion(*altered)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("tile/0/001", "tile/0/001 holds other hashes"),
        ("tile/0/002.p/88", "tile/0/002.p/88 holds other hashes"),
        ("tile/1/000.p/2", "tile/1/000.p/2 holds other hashes"),
        ("tile/entries/001", "tile/0/001 holds other hashes"),
        ("tile/entries/002.p/88", "tile/0/002.p/88 holds other hashes"),
        ("checkpoint", "invalid signature"),
    ],
)
def test_go_refuses_a_log_with_one_bit_altered(go_judge: GoJudge, tmp_path: Path, path: str, what: str) -> None:
    """Publishes 600 entries and flips a bit of one file: a tile of either level, a bundle, or the checkpoint."""
    GrowingLog(entries_of(600)).publish(tmp_path)
    go_judge.check_directory(tmp_path, VKEY)
    file = tmp_path / path
    # A digit of the size in the checkpoint; elsewhere a byte of a hash or an entry.
    file.write_bytes(alter(file.read_bytes(), len(SIGNER.name) + 1 if path == "checkpoint" else 40))
    with pytest.raises(Refused, match=what):
        go_judge.check_directory(tmp_path, VKEY)


def test_go_misses_a_file_that_is_not_there(go_judge: GoJudge, tmp_path: Path) -> None:
    """Deletes one file after the other; a partial one alone may go once the full one is there."""
    log = GrowingLog(entries_of(300))
    log.append(entries_of(600)[300:])
    log.publish(tmp_path)
    (tmp_path / "tile/0/001.p/44").unlink()
    go_judge.check_directory(tmp_path, VKEY)
    for path in ("tile/0/000", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/000", "checkpoint"):
        data = (tmp_path / path).read_bytes()
        (tmp_path / path).unlink()
        with pytest.raises(Refused, match="no such file"):
            go_judge.check_directory(tmp_path, VKEY)
        (tmp_path / path).write_bytes(data)


def test_go_refuses_a_signed_root_that_the_entries_do_not_have(go_judge: GoJudge, tmp_path: Path) -> None:
    """Signs a checkpoint with another root than the published entries lead to."""
    log = GrowingLog(entries_of(600))
    log.publish(tmp_path)
    forged = sign_head(TreeHead(SIGNER.name, 600, alter(log.edge.root)), [SIGNER])
    (tmp_path / "checkpoint").write_text(str(forged), encoding="utf-8")
    with pytest.raises(Refused, match="the entries lead to the root"):
        go_judge.check_directory(tmp_path, VKEY)


def test_go_opens_our_notes_and_we_open_gos(go_judge: GoJudge) -> None:
    """Signs a checkpoint here and there with one key in Go's text form; Ed25519 makes the same note of it."""
    head = TreeHead(SIGNER.name, 0, EMPTY_ROOT)
    ours = str(sign_head(head, [OTHER, SIGNER]))
    assert go_judge.open_note(ours, VKEY) == str(head)
    gos = go_judge.sign_note(str(head), SIGNER.secret_text())
    assert gos == str(sign_head(head, [SIGNER]))
    assert open_checkpoint(gos, SIGNER.verifier).head == head


def test_go_takes_a_generated_key(go_judge: GoJudge) -> None:
    """Makes a key here, reads both of its text forms there, and opens Go's note with the verifier read back."""
    signer = Signer.generate("log.example/Ø")
    note = go_judge.sign_note("a text\n\nof two parts\n", signer.secret_text())
    assert go_judge.open_note(note, str(signer.verifier)) == "a text\n\nof two parts\n"
    assert open_note(note, [Verifier.parse(str(signer.verifier))]).text == "a text\n\nof two parts\n"


def test_go_refuses_a_note_of_another_key(go_judge: GoJudge) -> None:
    """Signs with one key and opens with another, and with the right key after the text has changed."""
    note = str(sign_head(TreeHead(OTHER.name, 0, EMPTY_ROOT), [OTHER]))
    with pytest.raises(Refused, match="no verifiable signatures"):
        go_judge.open_note(note, VKEY)
    with pytest.raises(Refused, match="invalid signature"):
        go_judge.open_note(note.replace("\n0\n", "\n1\n"), str(OTHER.verifier))

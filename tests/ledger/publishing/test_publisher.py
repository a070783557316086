"""What is sealed is published: Go's tlog finds each entry in it, whichever way the log was sealed."""

from pathlib import Path

from deepnode_ledger import leaf
from deepnode_ledger.log import Log
from deepnode_ledger.transparency import decode_bundle, leaf_hashes, root_of
from tests.ledger.histories import contents
from tests.ledger.publishing.sealed_history import VKEY, files, head, publish, seal
from tests.ledger.transparency.go_judge import GoJudge


def test_go_finds_what_was_sealed_after_each_seal(log: Log, folder: Path, go_judge: GoJudge) -> None:
    """Seals to sizes on both sides of where tiles become full, publishing after each, and has Go check all files."""
    for size in (1, 2, 255, 256, 257, 511, 512, 513, 700):
        seal(log, size - (head(folder).size if (folder / "checkpoint").exists() else 0))
        published = publish(log, folder)
        assert published is not None
        assert published.public
        assert (published.head, published.behind) == (head(folder), 0)
        assert go_judge.check_directory(folder, VKEY)["size"] == size
        assert publish(log, folder) is None
    leaves = [leaf.entry_bytes(entry) for entry in contents(log)]
    assert head(folder).root == root_of(leaf_hashes(leaves))
    assert decode_bundle((folder / "tile/entries/000").read_bytes()) == leaves[:256]


def test_nothing_sealed_is_nothing_to_publish(log: Log, folder: Path) -> None:
    """Publishes an empty log: there is no checkpoint, and the directory holds nothing but the lock."""
    assert publish(log, folder) is None
    assert files(folder) == {}

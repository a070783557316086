"""The same final moment gives the same bytes, whatever has happened to the books since."""

import hashlib

from deepnode_graphql.export.formats import FORMATS
from deepnode_graphql.export.sources import SOURCES
from deepnode_projections.rebuild import rebuild
from tests.graphql.export.export_books import made, service_of
from tests.graphql.small_books import ALICE, BOB, NOBODY, Scribe, transfer, write_small_history


def digests(books: Scribe, moment: dict[str, int]) -> dict[str, str]:
    """The digests of files of some sources, in each format in turn."""
    suffixes = list(FORMATS)
    with service_of(books) as service:
        return {
            name: hashlib.sha256(made(service, name, suffixes[place % len(suffixes)], **moment)).hexdigest()
            for place, name in enumerate([*SOURCES][:16])
        }


def test_later_blocks_and_a_rebuild_change_no_byte(own_books: Scribe) -> None:
    """Exports a final block; adds accounts, empty blocks and a reorg, seals more; makes the books anew."""
    write_small_history(own_books)
    moments = ({"at_position": 9}, {"at_block": 5}, {"at_time": 1_700_000_010})
    before = [digests(own_books, moment) for moment in moments]
    for _ in range(2):
        own_books.block()
        own_books.block(transfer(NOBODY, bytes([len(own_books.blocks)]) * 20, 5), transfer(ALICE, BOB, 1))
        own_books.reorg(len(own_books.blocks) - 1, [transfer(ALICE, BOB, 2)], [])
        own_books.seal(len(own_books.blocks) - 1)
    assert [digests(own_books, moment) for moment in moments] == before
    own_books.projector.close()
    rebuild(own_books.url, own_books.manifest)
    assert [digests(own_books, moment) for moment in moments] == before

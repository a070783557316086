"""Corrections through reorgs and rebuilds: the books are those of the log, wherever a correction ends up in it."""

from contextlib import closing
from pathlib import Path
from typing import Any

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import Block
from deepnode_ledger.snapshot import snapshot
from deepnode_projections.projector import Projector, connect
from deepnode_projections.registers.at import StateAt
from deepnode_projections.replay import Replay
from deepnode_projections.rules.corrections import Correction
from deepnode_projections.rules.work import Work
from deepnode_projections.state_root import state_root
from tests.graphql.small_books import ALICE, BOB, NOBODY, Event, transfer
from tests.graphql.statements.month_books import DN_TOKEN, MonthScribe, month_scribe
from tests.projections.rules.spoken import TYPES, data_of, judged


def opened(epoch: int) -> list[Event]:
    """The transaction that opens an epoch."""
    return [Event("Emission", "EpochOpened", epoch=epoch, startBlock=epoch)]


def say(books: MonthScribe, kind: str, **members: Any) -> str:
    """Tell a statement in which short texts are ids; return the event's id."""
    return books.tell(TYPES[kind], **data_of(kind, **members))


def reorg(books: MonthScribe, kept: int, branch: str, *blocks: list[Event]) -> None:
    """Replace everything behind the block ``kept`` by a branch of these blocks."""
    books.blocks = books.blocks[:kept]
    below, added = books.tip, []
    for events in blocks:
        header, logs = books._next(events, branch)
        added.append(Block(header, logs))
        books.blocks.append(header.block)
    books.log.extend(below, added)
    books.projector.catch_up()


def correction_and_work(books: MonthScribe, schema: str = "books") -> tuple[list[tuple[int, bool]], dict[int, int]]:
    """The epoch and timeliness of each correction, and node n1's VWU by epoch; the books equal a replay of the log."""
    with snapshot(books.log.datastore) as view, closing(connect(books.url, schema)) as connection:
        replay = Replay(books.manifest)
        for batch in view.read(1):
            replay.feed(batch)
        with connection.transaction():
            assert replay.root() == state_root(connection, replay.position)
            past = StateAt(connection, replay.position)
            work = {each.epoch: each.vwu for each in past.every(Work) if each.node.startswith(b"n1")}
            return [(each.epoch, each.in_time) for each in past.every(Correction)], work


def test_a_reorg_may_bring_a_correction_behind_its_epochs_end_and_back(database_url: str, tmp_path: Path) -> None:
    """Corrects VWU in epoch 1; one reorg opens epoch 2 before the correction comes again, the next one takes that back.

    Task events are kept by a reorg and stand behind the new blocks: then the correction is too late for epoch 1, or in
    time again. A rebuild agrees each time.
    """
    with month_scribe(database_url, tmp_path) as books:
        books.play(opened(1), [transfer(NOBODY, BOB, 9)])
        say(books, "TaskCreated", asset=to_hex(DN_TOKEN))
        for kind, members in judged():
            say(books, kind, **members)
        say(books, "ConsensusReached")
        wrong = say(books, "VWUAssigned", vwu=1000)
        say(books, "VWUAssigned", slot=2, node="n2", vwu=10)
        books.play([transfer(BOB, ALICE, 1)])
        books.play([transfer(BOB, ALICE, 2)])
        say(books, "Correction", corrects=wrong, vwu=100, task="t1", attempt=1, slot=1)
        assert correction_and_work(books) == ([(1, True)], {1: 100})
        reorg(books, 2, "b", opened(2), [transfer(BOB, ALICE, 2)])
        assert correction_and_work(books) == ([(1, False)], {1: 1000})
        reorg(books, 2, "c", [transfer(BOB, ALICE, 3)], [transfer(BOB, ALICE, 3)], [transfer(BOB, ALICE, 4)])
        assert correction_and_work(books) == ([(1, True)], {1: 100})
        with closing(Projector(books.url, books.manifest, schema="books_again", step_entries=3)) as again:
            again.open()
            again.catch_up()
        assert correction_and_work(books, "books_again") == ([(1, True)], {1: 100})

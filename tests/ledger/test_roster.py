"""A factory's children are contracts from the log that announces them on, and follow from the log alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from deepnode_ledger import batch as batches
from deepnode_ledger.decoding import ChainEvent, Unknown, decode, decode_log
from deepnode_ledger.manifest import Manifest
from deepnode_ledger.record import Block, BlockRef, ChainLog, Finality, Header, LogEntry
from deepnode_ledger.roster import Roster
from deepnode_ledger.snapshot import snapshot
from tests.ledger.factories import FACTORY, FAR, FAR_CHAIN, PROXY, created, factories, said
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, GENESIS, chain_log, opened, ref, task, word

ROUND, OTHER, VAULT, BACKER = (bytes([n]) * 20 for n in (0x11, 0x12, 0x13, 0x14))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return factories(tmp_path_factory.mktemp("factories"))


def event_of(manifest: Manifest, child: str, name: str) -> Any:
    """The event of a kind of child."""
    todo = [each for contract in manifest.contracts.values() for each in contract.creates]
    todo += [each for made in todo for each in made.creates]
    [events] = [each.events for each in todo if each.name == child]
    return next(event for event in events.values() if event.name == name)


def announce(manifest: Manifest, child: bytes, number: int, index: int, factory: bytes = FACTORY) -> ChainLog:
    return created(manifest.contracts[factory], child, ref(number), index)


def backed(manifest: Manifest, child: bytes, number: int, index: int) -> ChainLog:
    return said(child, event_of(manifest, "Round", "Backed"), ref(number), index, backer=BACKER, amount=index)


def opened_vault(manifest: Manifest, number: int, index: int) -> ChainLog:
    return said(ROUND, event_of(manifest, "Round", "Opened"), ref(number), index, vault=VAULT)


def filled(manifest: Manifest, number: int, index: int) -> ChainLog:
    return said(VAULT, event_of(manifest, "Vault", "Filled"), ref(number), index, amount=7)


def entry(position: int, number: int, log: ChainLog, chain_id: int = CHAIN_ID) -> LogEntry:
    return LogEntry(position, Finality.PENDING, chain_id, ref(number), log)


def batch_of(entries: Sequence[LogEntry]) -> Any:
    return batches.from_rows([batches.row_of(e.position, e.chain_id, e.block, e.record) for e in entries])


def names(roster: Roster) -> list[str]:
    return [child.contract.name for child in roster.children]


def test_a_child_counts_from_the_log_that_announces_it(manifest: Manifest) -> None:
    """Decodes a child's logs before, beside and behind the announcement, and asks for it at those places."""
    roster = Roster(manifest)
    assert isinstance(decode(entry(9, 9, backed(manifest, ROUND, 9, 9)), roster), Unknown)
    [child] = roster.learn(entry(4, 8, announce(manifest, ROUND, 8, 3)))
    assert child.contract.name == f"Round.0x{ROUND.hex()}"
    assert (child.contract.kind, child.contract.start_block, child.contract.chain_id) == ("Other", 8, CHAIN_ID)
    assert (child.factory, child.place, child.position) == (FACTORY, (8, 3), 4)
    before, behind = backed(manifest, ROUND, 8, 2), backed(manifest, ROUND, 8, 4)
    assert decode(entry(3, 8, before), roster) == Unknown("no contract of the manifest has this address")
    event = decode(entry(5, 8, behind), roster)
    assert isinstance(event, ChainEvent)
    assert (event.contract, event.name, event.args["backer"]) == (child.contract, "Backed", BACKER)
    assert roster.get(ROUND, CHAIN_ID, (8, 3)) is None
    assert roster.get(ROUND, CHAIN_ID, (9, 0)) is roster.get(ROUND) is child.contract
    assert roster.get(ROUND, FAR_CHAIN) is None


def test_children_of_children_are_learned_from_the_same_batch(manifest: Manifest) -> None:
    """Learns from one batch in which a round is announced, opens its vault, and the vault speaks."""
    logs = [
        opened_vault(manifest, 8, 0),
        announce(manifest, ROUND, 8, 1),
        backed(manifest, ROUND, 8, 2),
        opened_vault(manifest, 8, 3),
        filled(manifest, 8, 4),
    ]
    roster = Roster(manifest)
    entries = [entry(n, 8, log) for n, log in enumerate(logs, 1)]
    learned = roster.learn(batch_of([*entries, LogEntry(6, Finality.PENDING, CHAIN_ID, ref(8), task(1))]))
    assert [(child.contract.name.split(".")[0], child.place) for child in learned] == [
        ("Round", (8, 1)),
        ("Vault", (8, 3)),
    ]
    assert learned == roster.children
    assert roster.learn(batch_of(entries)) == []
    kinds = [type(decode(each, roster)) for each in entries]
    assert kinds == [Unknown, ChainEvent, ChainEvent, ChainEvent, ChainEvent]
    assert roster.addresses(CHAIN_ID) == [FACTORY, PROXY, ROUND, VAULT]
    assert roster.addresses(FAR_CHAIN) == [FAR]


def test_the_first_announcement_counts(manifest: Manifest) -> None:
    """Announces a round twice, the zero address, a contract of the manifest, and the same address on another chain."""
    roster = Roster(manifest)
    announced = [
        announce(manifest, ROUND, 8, 0),
        announce(manifest, ROUND, 9, 0),
        announce(manifest, bytes(20), 9, 1),
        announce(manifest, PROXY, 9, 2),
    ]
    for position, log in enumerate(announced, 1):
        roster.learn(entry(position, 8 + (position > 1), log))
    assert [child.place for child in roster.children] == [(8, 0)]
    far = announce(manifest, ROUND, 90, 0, FAR)
    assert roster.learn(entry(5, 90, far)) == []  # not the factory's chain
    [child] = roster.learn(entry(5, 90, far, FAR_CHAIN))
    assert (child.contract.name, child.contract.symbol) == (f"FarToken.0x{ROUND.hex()}", "FAR")
    assert roster.get(ROUND, FAR_CHAIN) is child.contract
    assert roster.get(ROUND) is not child.contract


def test_what_is_no_announcement_teaches_nothing(manifest: Manifest) -> None:
    """Offers the creating event from a stranger, with another number of topics, and with a dirty address."""
    good = announce(manifest, ROUND, 8, 0)
    stranger = ChainLog(good.transaction_hash, 0, 0, OTHER, good.topics, good.data)
    short = ChainLog(good.transaction_hash, 0, 0, FACTORY, good.topics[:1], good.topics[1] + good.data)
    dirty = ChainLog(good.transaction_hash, 0, 0, FACTORY, (good.topics[0], b"\xff" * 32), good.data)
    roster = Roster(manifest)
    for log in (stranger, short, dirty, chain_log(ref(8), 0)):
        assert roster.learn(entry(1, 8, log)) == []
    assert [type(decode(entry(1, 8, log), roster)) for log in (short, dirty)] == [Unknown, Unknown]


def test_a_reorg_takes_back_what_it_took_away(manifest: Manifest) -> None:
    """Forgets behind a position, and above a block of one chain; what is forgotten is learned again elsewhere."""

    def learned() -> Roster:
        roster = Roster(manifest)
        roster.learn(entry(1, 8, announce(manifest, ROUND, 8, 0)))
        roster.learn(entry(2, 90, announce(manifest, VAULT, 90, 0, FAR), FAR_CHAIN))
        roster.learn_logs(CHAIN_ID, [(ref(9), announce(manifest, OTHER, 9, 5))])
        return roster

    roster = learned()
    roster.forget_behind(1)
    assert [child.position for child in roster.children] == [1, None]
    roster = learned()
    roster.forget_blocks(CHAIN_ID, 8)
    assert [child.place for child in roster.children] == [(8, 0), (90, 0)]
    [child] = roster.learn(entry(7, 12, announce(manifest, OTHER, 12, 1)))
    assert (child.place, child.position) == ((12, 1), 7)


def test_logs_that_no_abi_explains_are_counted(manifest: Manifest) -> None:
    """Counts a batch of known, unknown and anonymous logs, of strangers, and of a child before it was announced."""
    topic = word("what")

    def odd(address: bytes, *topics: bytes) -> ChainLog:
        return ChainLog(word("t"), 0, 0, address, topics, b"")

    logs = [
        backed(manifest, ROUND, 8, 0),
        announce(manifest, ROUND, 8, 1),
        backed(manifest, ROUND, 8, 2),
        backed(manifest, ROUND, 8, 3),
        odd(FACTORY, topic),
        odd(FACTORY, topic, topic),
        odd(FACTORY),
        odd(OTHER, topic),
    ]
    roster = Roster(manifest)
    batch = batch_of([entry(n, 8, log) for n, log in enumerate(logs, 1)])
    roster.learn(batch)
    counted = roster.unknown(batch)
    backed_topic = logs[0].topics[0]
    assert counted == {(ROUND, backed_topic): 1, (FACTORY, topic): 2, (FACTORY, None): 1, (OTHER, topic): 1}


def test_without_factories_nothing_is_learned(tmp_path: Path) -> None:
    """Loads a roster of a manifest whose contracts create nothing, from a log that cannot be read."""
    plain = factories(tmp_path)
    contracts = {address: c for address, c in plain.contracts.items() if not c.creates}
    roster = Roster.load(None, Manifest("plain", 1, CHAIN_ID, GENESIS, contracts, {}))  # type: ignore[arg-type] # unread
    assert roster.learn(entry(1, 8, announce(plain, ROUND, 8, 0))) == []
    assert roster.addresses(CHAIN_ID) == [PROXY]


def test_a_roster_is_what_the_log_says_up_to_a_position(manifest: Manifest, database_url: str) -> None:
    """Loads rosters from a real log of sealed and pending entries, at each of its positions."""

    def grown(number: int, *logs: ChainLog) -> Block:
        return Block(Header(ref(number), ref(number - 1).hash), logs)

    with opened(database_url) as log:
        first = FIRST_BLOCK
        log.extend(None, [
            grown(first, announce(manifest, ROUND, first, 0), backed(manifest, ROUND, first, 1)),
            grown(first + 1, opened_vault(manifest, first + 1, 0)),
            grown(first + 2, announce(manifest, OTHER, first + 2, 0)),
        ])  # fmt: skip
        log.seal(ref(first + 1))
        with snapshot(log.datastore) as view:
            found = [names(Roster.load(view, manifest, position)) for position in range(5)]
            assert [[name.split(".")[0] for name in each] for each in found] == [
                [], ["Round"], ["Round"], ["Round", "Vault"], ["Round", "Vault", "Round"]
            ]  # fmt: skip
            whole = Roster.load(view, manifest)
            assert names(whole) == found[4]
            in_steps = Roster.load(view, manifest, 2)
            assert [child.position for child in in_steps.catch_up(view, 3)] == [3, 4]
            assert in_steps.children == whole.children
            assert all(isinstance(decode(each, whole), ChainEvent) for each in view.entries(1))


def test_an_abi_that_comes_later_reads_what_was_kept(manifest: Manifest, tmp_path: Path) -> None:
    """Decodes the same stored bytes by a manifest whose ABI lacks the event, then by one that has it."""
    block = BlockRef(9, word("b"), 9)
    kept = said(
        PROXY, next(e for e in manifest.contracts[PROXY].events.values() if e.name == "Changed"), block, 0, a=BACKER
    )
    text = {', { from_block = 20, abi = "ProxyTwo.json" }': ""}
    before = factories(tmp_path, **text)
    assert isinstance(decode_log(kept, before), Unknown)
    after = factories(tmp_path, **text, **{'"ProxyOne.json"': '"ProxyTwo.json"'})
    event = decode_log(kept, after)
    assert isinstance(event, ChainEvent)
    assert event.args == {"a": BACKER}
    assert before.digest != after.digest

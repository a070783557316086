"""Witnesses cosign what only grew; an answer is believed when its key verifies it, and holds up nothing else."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepnode_ledger.errors import BadInput
from deepnode_ledger.log import Log
from deepnode_ledger.publishing import Published, Witnesses, WitnessService, witnessing
from deepnode_ledger.transparency import TreeHead, WitnessSigner, open_checkpoint, time_of
from tests.ledger.publishing.sealed_history import SIGNER, VKEY, checkpoints, head, publisher, seal
from tests.ledger.publishing.witness_server import Answer, WitnessServer, running
from tests.ledger.transparency.go_judge import GoJudge

NOBODY = WitnessService.parse(f"{WitnessSigner.generate('nobody.example').verifier} http://127.0.0.1:9/")


@pytest.fixture
def first() -> Iterator[WitnessServer]:
    with running("first.example/w", SIGNER.verifier) as witness:
        yield witness


@pytest.fixture
def second() -> Iterator[WitnessServer]:
    with running("second.example/w", SIGNER.verifier) as witness:
        yield witness


def round_of(log: Log, folder: Path, *services: WitnessService, quorum: int = 0) -> Published | None:
    """One round of a new publisher, which asks the witnesses at once."""
    with publisher(log, folder, witnesses=Witnesses(services), quorum=quorum) as each:
        return each.publish()


def cosigners(folder: Path, *witnesses: WitnessServer) -> list[str]:
    note = (folder / "checkpoint").read_bytes()
    keys = [each.service.key for each in witnesses]
    return [line.name for line in open_checkpoint(note, SIGNER.verifier, keys).cosignatures]


def test_witnesses_follow_the_log(
    log: Log, folder: Path, first: WitnessServer, second: WitnessServer, go_judge: GoJudge
) -> None:
    """Two witnesses that check consistency see the log at several sizes; one joins late and is brought up to date."""
    for size, services in ((1, [first]), (256, [first]), (300, [first, second]), (700, [second, first])):
        seal(log, size - first.seen.size)
        published = round_of(log, folder, *(each.service for each in services))
        assert published is not None
        assert published.faults == ()
        assert (
            sorted(published.cosigned)
            == sorted(cosigners(folder, *services))
            == sorted(each.signer.name for each in services)
        )
        assert {each.seen.size for each in services} == {size}
        assert go_judge.check_directory(folder, VKEY)["size"] == size
    assert set(first.answers) == set(second.answers) == {200}, "what a witness saw last is known"
    note = open_checkpoint((folder / "checkpoint").read_bytes(), SIGNER.verifier, [first.service.key])
    assert time_of(note.cosignatures[0]) == 1_700_000_700


def test_a_witness_that_knows_more_than_we_remember_is_asked_again(
    log: Log, folder: Path, first: WitnessServer, tmp_path: Path
) -> None:
    """The witness has cosigned a size whose answer got lost: it names the size, and gets its proof."""
    seal(log, 300)
    round_of(log, folder)
    first.seen = head(folder)
    seal(log, 300)
    published = round_of(log, folder, first.service)
    assert published is not None
    assert (published.cosigned, first.answers) == ((first.signer.name,), [409, 200])


def test_nobody_is_asked_twice_for_the_same(log: Log, folder: Path, first: WitnessServer) -> None:
    """Goes round again with nothing new."""
    seal(log, 10)
    assert round_of(log, folder, first.service) is not None
    assert round_of(log, folder, first.service) is None
    assert first.answers == [200]


def test_a_witness_that_is_away_is_reported_and_holds_up_nothing(log: Log, folder: Path, first: WitnessServer) -> None:
    """Names one witness where nobody listens: the other's line is published; the next round asks again."""
    seal(log, 10)
    for _ in range(2):
        published = round_of(log, folder, NOBODY, first.service)
        assert published is not None
        assert published.public
        assert published.cosigned == (first.signer.name,)
        assert [fault.name for fault in published.faults] == ["nobody.example"]
        assert "is away" in published.faults[0].message
    assert first.answers == [200]


def test_a_witness_that_failed_rests(log: Log, folder: Path) -> None:
    """Goes round again at once with the same publisher: it is not asked, so there is nothing to say."""
    seal(log, 10)
    with publisher(log, folder, witnesses=Witnesses([NOBODY])) as each:
        assert each.publish() is not None
        assert each.publish() is None


def test_a_witness_that_does_not_answer_is_not_waited_for(
    log: Log, folder: Path, first: WitnessServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holds a witness's answer back until the round is over; it is asked again once it is not busy any more."""
    monkeypatch.setattr(witnessing, "ANSWER_SECONDS", 0.5)
    answer = threading.Event()

    def late(_: bytes) -> Answer:
        assert answer.wait(60)
        return 503, b""

    first.instead = late
    seal(log, 10)
    witnesses = Witnesses([first.service], rest_seconds=0)
    with publisher(log, folder, witnesses=witnesses) as each:
        published = each.publish()
        assert published is not None
        assert published.public
        assert "did not answer within 0.5 s" in published.faults[0].message
        assert each.publish() is None
        answer.set()
        first.instead = None
        while not witnesses.due([]):
            pass
        monkeypatch.undo()
        published = each.publish()
        assert published is not None
        assert published.cosigned == (first.signer.name,)
    assert first.answers == [503, 200]


def lies(witness: WitnessServer, forger: WitnessSigner) -> dict[str, Answer]:
    other = TreeHead(SIGNER.name, 10, bytes(32))
    return {
        "the cosignature of another tree": (200, str(witness.signer.cosign(str(other), 1)).encode()),
        "another key's signature under this name": (200, str(forger.cosign(str(other), 1)).encode()),
        "nothing": (200, b""),
        "no signature line": (200, b"thank you\n"),
        "no text": (200, b"\xff\xfe\n"),
        "too much": (200, b"x" * 70_000),
        "a refusal": (403, b"I do not know you"),
        "a redirection": (302, b""),
        "the same size as another": (409, b"0\n"),
        "a size that is none": (409, b"-1\n"),
        "a size beyond ours": (409, b"11\n"),
    }


LIES = tuple(lies(WitnessServer("w", SIGNER.verifier), WitnessSigner.generate("w")))


@pytest.mark.parametrize("lie", LIES)
def test_what_a_witness_makes_up_is_not_published(log: Log, folder: Path, first: WitnessServer, lie: str) -> None:
    """Has the witness answer what it must not; nothing of it gets into the table or the checkpoint."""
    forger = WitnessSigner.generate(first.signer.name)
    first.instead = lambda _: lies(first, forger)[lie]
    seal(log, 10)
    published = round_of(log, folder, first.service)
    assert published is not None
    assert (published.public, published.cosigned) == (True, ())
    assert [fault.name for fault in published.faults] == [first.signer.name]
    assert (folder / "checkpoint").read_text().count("— ") == 1
    with log.datastore.cursor() as cursor:
        cursor.execute("SELECT count(*) AS lines FROM log.cosignature")
        assert cursor.fetchone() == {"lines": 0}
    first.instead = None
    assert round_of(log, folder, first.service) is not None
    assert cosigners(folder, first) == [first.signer.name]


def test_a_witness_that_saw_more_than_the_database_holds_says_so(log: Log, folder: Path, first: WitnessServer) -> None:
    """The witness has seen size 20, the log is at 10: it was restored from an older copy."""
    seal(log, 10)
    first.seen = TreeHead(SIGNER.name, 20, bytes(32))
    published = round_of(log, folder, first.service)
    assert published is not None
    assert "has cosigned size 20, and this log's is 10: was the database restored" in published.faults[0].message


def test_a_checkpoint_is_withheld_until_enough_have_cosigned(
    log: Log, folder: Path, first: WitnessServer, second: WitnessServer
) -> None:
    """Wants two witnesses while one is out of order: readers see the older checkpoint until it works again."""
    services = (first.service, second.service)
    seal(log, 10)
    published = round_of(log, folder, *services, quorum=2)
    assert published is not None
    assert published.public
    second.instead = lambda _: (503, b"")
    for size in (300, 600):
        seal(log, size - checkpoints(log)[-1])
        published = round_of(log, folder, *services, quorum=2)
        assert published is not None
        assert (published.public, published.head.size, published.cosigned) == (False, size, (first.signer.name,))
        assert head(folder).size == 10
        assert checkpoints(log)[-1] == size
    second.instead = None
    published = round_of(log, folder, *services, quorum=2)
    assert published is not None
    assert (published.public, published.entries, head(folder).size) == (True, 0, 600)
    assert checkpoints(log) == [10, 300, 600]


def test_a_line_of_a_witness_that_is_no_longer_named_is_left_out(
    log: Log, folder: Path, first: WitnessServer, second: WitnessServer
) -> None:
    """Publishes with two witnesses, then with one."""
    seal(log, 10)
    round_of(log, folder, first.service, second.service)
    assert len(cosigners(folder, first, second)) == 2
    assert round_of(log, folder, second.service) is not None
    assert cosigners(folder, first, second) == [second.signer.name]


@pytest.mark.parametrize(
    "text",
    ["", "w http://x/", f"{NOBODY.key}", f"{NOBODY.key} ftp://x/", f"{NOBODY.key} http://x/ y", f"{VKEY} http://x/"],
    # The keys are new in every process, and names must not be: the processes of one run share them out.
    ids=["nothing", "no key", "no URL", "no HTTP", "more than a URL", "a key of a log"],
)
def test_what_is_no_witness_is_refused(text: str) -> None:
    """Leaves a part out, takes another scheme, and takes a log's key for a witness's."""
    with pytest.raises(BadInput):
        WitnessService.parse(text)


def test_a_quorum_needs_as_many_witnesses(log: Log, folder: Path) -> None:
    """Wants two of one witness, and one twice."""
    with pytest.raises(BadInput, match="of 1 witnesses, 2 cannot have cosigned"):
        publisher(log, folder, witnesses=Witnesses([NOBODY]), quorum=2)
    with pytest.raises(BadInput, match="each witness is named once"):
        Witnesses([NOBODY, NOBODY])

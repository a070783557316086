"""What `make bench-replay` compares is comparable: who is measured makes the same of the same entries."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from benchmarks import asof_balances, replay_tail
from benchmarks.bench_replay import PARTS, check, with_others
from benchmarks.replay.deployment import SMALL
from benchmarks.replay.stored import kept
from benchmarks.replay_peers import Peer
from benchmarks.replay_ways import Task, Way, child
from benchmarks.result import Result, publish, result

SHARE = 3_000


def test_the_peers_make_the_same_of_a_share_of_the_history(database_url: str, tmp_path: Path) -> None:
    """Lets the library store and project some thousand entries, and compares balances and work with the rules'."""
    history = kept(SMALL, tmp_path)
    check(history, SHARE, Peer(database_url, history, SHARE))


def test_the_stages_of_a_replay_are_all_of_it(tmp_path: Path) -> None:
    """Replays a share by the rules: the stages take no longer than the call."""
    history = kept(SMALL, tmp_path)
    began = time.perf_counter()
    done = child(Task(Way.SPECIFICATION, str(history.folder), SHARE))
    assert set(done.stages) == {"read", "fold", "root"}
    assert 0 < done.seconds < time.perf_counter() - began
    assert len(done.root) == 64


def test_every_way_to_a_balance_at_a_position_gives_the_sum_of_the_postings(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Makes small books and asks in each way; each answer is compared with what was put in."""
    for name, few in (("WALLETS", 200), ("QUESTIONS", 60)):
        monkeypatch.setattr(asof_balances, name, few)
    questions = asof_balances.write_books(database_url, tmp_path, 4_000)
    with ExitStack() as stack:
        for name, ask in asof_balances.ways(database_url, tmp_path, stack).items():
            assert [ask(each) for each in questions] == [each.balance for each in questions], name
    assert len(questions) == 60
    assert len({each.balance for each in questions}) > 30


def test_the_tail_is_followed_to_the_last_block(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Puts three blocks behind a gap behind some thousand entries: each has its delay, and the gap its seconds."""
    monkeypatch.setattr(replay_tail, "BLOCK_SECONDS", 0.0)
    delays, rate, caught = replay_tail.followed(postgres_url, kept(SMALL, tmp_path), SHARE, 3, 500)
    assert len(delays) == 3
    assert min(delays) > 0
    assert rate > 0
    assert caught > 0


def test_a_part_that_is_measured_alone_leaves_the_others_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Publishes two parts, then one of them anew."""
    monkeypatch.setattr("benchmarks.bench_replay.OUT", tmp_path)
    monkeypatch.setattr("benchmarks.result.OUT", tmp_path)

    def measured(case: str, figure: float) -> Result:
        return result(case, "x", figure, "peer", 1.0, bound=None, goal="")

    publish("replay", with_others([measured("balance at", 1.0), measured("replay, all", 2.0)], PARTS))
    again = with_others([measured("replay, all", 3.0)], ["replay"])
    assert [(each.case, each.ours) for each in again] == [("replay, all", 3.0), ("balance at", 1.0)]

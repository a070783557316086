"""The process tree, tried with real processes: what ends, what is left alone, and what the user is told."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deepnode_cli.process_tree import (
    CannotStart,
    ChildFailed,
    NameRefused,
    NotReady,
    ProcessTree,
    Stopping,
    UnknownChild,
    die_with_parent,
)

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]

# It catches SIGTERM before it says that it is there, so that no test sends the signal too early.
STUBBORN = """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(60)
"""

WATCHFUL = """
    import time
    from deepnode_cli.process_tree import die_with_parent
    die_with_parent()
    print("watching", flush=True)
    time.sleep(60)
"""

# A parent as `deepnode demo` is one: two children, its own wait, and Ctrl-C or SIGTERM as the way out.
PARENT = """
    import signal, sys
    from pathlib import Path
    from deepnode_cli.process_tree import ProcessTree

    logs, child = Path(sys.argv[1]), sys.argv[2]
    # As in a terminal: what a shell starts in the background is deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with ProcessTree(logs) as tree:
            for name in ("first", "second"):
                tree.start(name, [sys.executable, "-c", child])
                tree.wait_ready(name, lambda: "watching" in (logs / f"{name}.log").read_text(), 20)
            print(*(child.pid for child in tree.children), flush=True)
            tree.monitor(interval_seconds=0.05)
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""


def python(source: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(source)]


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process whose exit code nobody has read is dead all the same; in a container without an init process to inherit
    # them, orphans stay like that. Elsewhere than on Linux there is one, which reads the code at once.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def eventually(condition: Callable[[], bool], timeout_seconds: float = 20) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[ProcessTree]:
    with ProcessTree(tmp_path / "logs") as tree:
        yield tree


@pytest.fixture
def stranger() -> Iterator[int]:
    with subprocess.Popen(SLEEP) as process:
        yield process.pid
        process.kill()


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    argv = [*python(PARENT), str(tmp_path / "logs"), textwrap.dedent(WATCHFUL)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def children_of(parent: subprocess.Popen[str]) -> list[int]:
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2
    assert all(runs(pid) for pid in pids)
    return pids


@pytest.mark.parametrize(("sent", "exit_code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_stop_all_children_and_nothing_else(
    parent: subprocess.Popen[str], stranger: int, sent: signal.Signals, exit_code: int
) -> None:
    """Signals a parent with two children by its own pid, beside a process of the same program that is not its child."""
    pids = children_of(parent)
    parent.send_signal(sent)
    assert parent.wait(20) == exit_code
    assert not any(runs(pid) for pid in pids)
    assert runs(stranger)


def test_children_die_with_a_parent_that_was_killed(parent: subprocess.Popen[str], stranger: int) -> None:
    """Sends the parent SIGKILL, which it can neither catch nor pass on, and waits for the children to notice."""
    pids = children_of(parent)
    parent.kill()
    parent.wait(20)
    assert eventually(lambda: not any(runs(pid) for pid in pids))
    assert runs(stranger)


def test_a_terminals_ctrl_c_reaches_only_the_parent(parent: subprocess.Popen[str]) -> None:
    """Compares the children's session and process group with those of the parent."""
    for pid in children_of(parent):
        assert os.getsid(pid) == os.getpgid(pid) == pid
        assert os.getsid(pid) != os.getsid(parent.pid)


def test_a_crashing_child_is_reported_with_its_log_tail(tree: ProcessTree) -> None:
    """Runs a child that writes 100 lines and exits with 7."""
    tree.start("indexer", python("import sys; [print('line', n) for n in range(100)]; sys.exit(7)"))
    with pytest.raises(ChildFailed, match=r"(?s)^indexer ended with exit code 7 .*line 99$") as failure:
        tree.monitor(interval_seconds=0.01)
    assert failure.value.exit_code == 7
    assert failure.value.log_tail.splitlines() == [f"line {n}" for n in range(80, 100)]


def test_a_child_killed_by_a_signal_is_reported_with_its_name(tree: ProcessTree) -> None:
    """Kills a child from outside and monitors it."""
    os.kill(tree.start("api", SLEEP).pid, signal.SIGKILL)
    with pytest.raises(ChildFailed, match=r"^api ended with signal SIGKILL .*it wrote nothing$"):
        tree.monitor(interval_seconds=0.01)


def test_waiting_for_readiness_fails_at_once_when_the_child_ends(tree: ProcessTree) -> None:
    """Waits with a probe that would say yes, as a stranger on the same port would, for a child that has crashed."""
    crashed = tree.start("api", python("raise SystemExit('address already in use')"))
    crashed.process.wait(20)
    with pytest.raises(ChildFailed, match="address already in use"):
        tree.wait_ready("api", lambda: True, 60)


def test_a_child_that_never_becomes_ready_is_named(tree: ProcessTree) -> None:
    """Waits a tenth of a second for a probe that stays false."""
    tree.start("api", SLEEP)
    with pytest.raises(NotReady, match=r"^api was not ready after 0\.1 s"):
        tree.wait_ready("api", lambda: False, 0.1)


def test_a_ready_child_is_not_waited_for_any_longer(tree: ProcessTree) -> None:
    """Answers the probe with yes the third time."""
    answers = iter([False, False, True])
    tree.start("api", SLEEP)
    tree.wait_ready("api", lambda: next(answers), 60)
    assert next(answers, None) is None


def test_a_restartable_child_is_started_again_with_the_same_environment(tree: ProcessTree, tmp_path: Path) -> None:
    """Lets a child crash three times; its log is appended to, not overwritten."""
    source = "import os; print('run', os.environ['NAME'])"
    child = tree.start("indexer", python(source), environment={"NAME": "demo"}, restartable=True)
    while child.restarts < 3:
        tree.check()
        time.sleep(0.01)
    assert eventually(lambda: child.log_tail().splitlines()[:3] == ["run demo"] * 3)
    assert child.log_path == tmp_path / "logs" / "indexer.log"


def test_stop_is_idempotent_and_nothing_starts_after_it(tree: ProcessTree) -> None:
    """Stops twice by hand and a third time by the end of the with block."""
    child = tree.start("api", SLEEP)
    tree.stop()
    tree.stop()
    assert child.exit_code == -signal.SIGTERM
    with pytest.raises(Stopping):
        tree.start("late", SLEEP)
    with pytest.raises(Stopping):
        tree.wait_ready("api", lambda: True, 1)


def test_children_are_asked_to_stop_in_reverse_order_of_start(
    tree: ProcessTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notes the process ids that SIGTERM goes to on its way there."""
    pids = [tree.start(name, SLEEP).pid for name in ("database", "indexer", "api")]
    asked: list[int] = []
    terminate = subprocess.Popen.terminate

    def noted(process: subprocess.Popen[bytes]) -> None:
        asked.append(process.pid)
        terminate(process)

    monkeypatch.setattr(subprocess.Popen, "terminate", noted)
    tree.stop()
    assert asked == pids[::-1]


def test_a_stubborn_child_is_killed_after_the_grace_period(tmp_path: Path) -> None:
    """Stops a child that ignores SIGTERM, with a grace period of a fifth of a second."""
    with ProcessTree(tmp_path, grace_seconds=0.2) as tree:
        child = tree.start("deaf", python(STUBBORN))
        tree.wait_ready("deaf", lambda: "deaf" in child.log_tail(), 20)
    assert child.exit_code == -signal.SIGKILL


def test_stop_in_a_signal_handler_waits_for_a_handle_that_is_in_use(tree: ProcessTree) -> None:
    """Raises the signal in the midst of a look at the process handle, where its lock is held."""
    child = tree.start("api", SLEEP)
    look = child.process.poll

    def interrupted() -> int | None:
        child.process.poll = look  # type: ignore[method-assign] # only the first look is interrupted
        signal.raise_signal(signal.SIGUSR1)
        assert runs(child.pid), "the handler must not have used the handle"
        return look()

    before = signal.signal(signal.SIGUSR1, lambda *_: tree.stop())
    try:
        child.process.poll = interrupted  # type: ignore[method-assign] # stands for a signal at that instant
        tree.monitor(interval_seconds=0.01)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert child.exit_code == -signal.SIGTERM


def test_names_and_programs_that_cannot_be_are_refused(tree: ProcessTree, tmp_path: Path) -> None:
    """Starts a name twice, a name that would leave the log directory, and a program that is not there."""
    tree.start("api", SLEEP)
    with pytest.raises(NameRefused, match="'api' was started before"):
        tree.start("api", SLEEP)
    with pytest.raises(NameRefused, match="does not name a process"):
        tree.start("../api", SLEEP)
    with pytest.raises(CannotStart, match="No such file or directory"):
        tree.start("gone", [str(tmp_path / "gone")])
    with pytest.raises(UnknownChild, match=r"no process is named 'db' \(started: api\)"):
        tree.wait_ready("db", lambda: True, 1)


def test_a_process_that_was_not_started_by_a_tree_does_not_watch_its_stdin() -> None:
    """Calls the child's side without the parent's environment variable, with a stdin that is at its end."""
    source = (
        "from deepnode_cli.process_tree import die_with_parent as d; d(); import time; time.sleep(0.3); print('lives')"
    )
    done = subprocess.run(
        python(source), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "lives\n"
    die_with_parent()

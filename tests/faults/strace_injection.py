"""strace put on a running process: it counts system calls, makes the n-th of a kind fail, or kills the process there.

The process runs as it is, with no library of ours below it: what fails is what the kernel says.
"""

import os
import re
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final, Literal

from tests.faults.crashing_server import owner_of

ATTACH_SECONDS = 20
END_SECONDS = 30

Fault = Literal["EIO", "ENOSPC", "KILL"]

KILL: Final = "KILL"

_DISK_WRITES = {"write", "writev", "pwrite64", "pwritev", "pwritev2", "fallocate", "fsync", "fdatasync"}
_NAMES = {"openat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "mkdir"}
_OTHERS = {
    "read", "readv", "pread64", "preadv", "preadv2", "lseek", "ftruncate", "close", "unlink", "unlinkat", "rmdir",
    "stat", "fstat", "newfstatat", "statx", "getdents64", "sync_file_range", "recvfrom", "recvmsg", "fadvise64",
}  # fmt: skip

# What the kernel can answer for a disk that fails or is full; at a socket's read it is a lost connection. Not at its
# write: libpq then waits for what a server that got nothing will never answer, and where a network fails the read
# fails too.
FAULTS_OF: Final[dict[Fault, frozenset[str]]] = {
    "EIO": frozenset(_DISK_WRITES | _NAMES | _OTHERS),
    "ENOSPC": frozenset(_DISK_WRITES | _NAMES | {"ftruncate"}),
}

# A process that is leaving has nothing to lose, and a handler's return is no call of its own.
NEVER = frozenset({"exit", "exit_group", "rt_sigreturn", "restart_syscall"})

# They concern the memory and the threads of the process alone: a kill there is one between two other calls.
WITHIN_THE_PROCESS: Final = frozenset({
    "brk", "clone", "clone3", "futex", "getpid", "gettid", "madvise", "mmap", "mprotect", "mremap", "munmap", "rseq",
    "rt_sigprocmask", "sched_getaffinity", "set_robust_list",
})  # fmt: skip

_CALL = re.compile(r"^(?:\[pid +(?P<pid>\d+)\] )?(?P<name>[a-z][a-z0-9_]*)\(", re.MULTILINE)
_HIT = re.compile(r"\(INJECTED\)|\+\+\+ killed by SIGKILL")


@dataclass(frozen=True, slots=True)
class Injection:
    """The ``when``-th call (from 1) of ``syscall`` by any thread fails with an error, or is the process's last."""

    syscall: str
    when: int
    fault: Fault

    @property
    def arguments(self) -> list[str]:
        """What strace is told."""
        what = "signal=KILL" if self.fault == KILL else f"error={self.fault}"
        return ["-e", f"trace={self.syscall}", "-e", f"inject={self.syscall}:{what}:when={self.when}"]


class Trace:
    """What strace has written: whole once it is off the process."""

    def __init__(self) -> None:
        self.text = ""

    @property
    def was_hit(self) -> bool:
        """Whether a fault was injected."""
        return _HIT.search(self.text) is not None

    @property
    def counts(self) -> dict[str, int]:
        """How often each system call was made, by the thread that made it most often."""
        threads = Counter((match["name"], match["pid"]) for match in _CALL.finditer(self.text))
        most: dict[str, int] = {}
        for (name, _), times in threads.items():
            if name not in NEVER:
                most[name] = max(times, most.get(name, 0))
        return most


@contextmanager
def traced(pid: int, injection: Injection | None, *, lives_on: bool = False) -> Iterator[Trace]:
    """Hold strace on a process and all its threads: to inject, or without that to count.

    Args:
        pid: of the process, which ends before or soon after the block does.
        injection: the fault; None to count.
        lives_on: the process does not end by itself, so strace is taken off it.

    Raises:
        PermissionError: the system does not let us trace it.
    """
    arguments = ["strace", "-f", "-s", "0", "-p", str(pid), *(injection.arguments if injection else [])]
    with tempfile.TemporaryFile() as file:
        # As the user of the process: whoever is only root inside a container may not trace another user's.
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stderr=file, user=owner_of(pid))
        trace = Trace()
        try:
            _wait_until_attached(process, file)
            yield trace
            if lives_on and process.poll() is None:
                process.send_signal(signal.SIGINT)
            # Not told to go while the process is ending: then it may wait for ever for one that is gone.
            process.wait(END_SECONDS)
        finally:
            process.kill()
            process.wait()
            trace.text = _text_of(file)


def _wait_until_attached(process: subprocess.Popen[bytes], file: IO[bytes]) -> None:
    deadline = time.monotonic() + ATTACH_SECONDS
    while " attached" not in _text_of(file):
        if process.poll() is not None:
            raise PermissionError(f"strace ended with {process.returncode}: {_text_of(file)}")
        assert time.monotonic() < deadline, f"strace did not attach: {_text_of(file)!r}"
        time.sleep(0.0005)


def _text_of(file: IO[bytes]) -> str:
    # Not by the file's own place, which strace's writes share.
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")

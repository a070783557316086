"""Is the log's key its owner's alone, and is what is published signed by it?"""

import stat
from collections.abc import Iterator

from deepnode_cli.checks.finding import Finding, Unseen, bad, ok, skipped, unseen, warn
from deepnode_cli.checks.looks import Looks


def key(looks: Looks) -> Iterator[Finding]:
    """The key file holds a key."""
    found = looks.key
    if isinstance(found, Unseen):
        yield unseen("key", found, "mend --log-key (DEEPNODE_LOG_KEY), or make a key with `deepnode keys new`")
    elif isinstance(found.verifier, Unseen):
        yield bad("key", found.verifier.reason, "bring the key back from its copy")
    else:
        yield ok("key", f"{found.file} holds the key of {found.verifier}")


def mode(looks: Looks) -> Iterator[Finding]:
    """Nobody but the owner can read or replace the key file."""
    check, found = "key-mode", looks.key
    if isinstance(found, Unseen):
        yield skipped(check, found)
        return
    others = found.mode & (stat.S_IRWXG | stat.S_IRWXO)
    says = f"{found.file} has mode {found.mode:04o}"
    if others:
        yield bad(check, f"{says}: others than its owner have rights on it", f"run: chmod 600 {found.file}")
    else:
        yield ok(check, f"{says}, its owner's alone")


def checkpoint(looks: Looks) -> Iterator[Finding]:
    """The published checkpoint is of the key, and of no more than is sealed."""
    check, found = "checkpoint", looks.checkpoint
    if isinstance(found, Unseen):
        yield unseen(check, found, "mend --log-directory (DEEPNODE_LOG_DIRECTORY) or its rights")
    elif found.fault is not None:
        to_do = "keep the directory as evidence, give the key that the log was begun with, and run `deepnode log fsck`"
        yield bad(check, found.fault, to_do)
    elif found.size is None:
        yield warn(check, f"nothing is published in {found.directory} yet", "start `deepnode log publish`")
    else:
        signed = "signed by the log's key" if found.is_signed else "not checked, as --log-key is not given"
        yield from _size(looks, found.size, f"{found.size} entries are published, {signed}")


def _size(looks: Looks, size: int, says: str) -> Iterator[Finding]:
    if isinstance(looks.log, Unseen):
        yield ok("checkpoint", says)
        return
    sealed = looks.log.head.sealed_position
    if size > sealed:
        to_do = "this database is an older copy than what was published: restore the newest backup"
        yield bad("checkpoint", f"{says}, and {sealed} are sealed", to_do)
    else:
        yield ok("checkpoint", f"{says}, {sealed - size} sealed ones behind")

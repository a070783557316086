"""What the doctor checks: small judgements about what was looked at.

A check is a function from ``Looks`` to findings. It asks nobody and waits for nothing; to add one, write the function
and put it into ``CHECKS``, and if it judges something new, give ``Looks`` a place for that.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from deepnode_cli.checks import clock, database, deployment, keys, log, nodes
from deepnode_cli.checks.finding import Finding, Unseen, Verdict
from deepnode_cli.checks.looks import CheckpointLook, KeyLook, Looks, NodeLook

__all__ = ["CHECKS", "Check", "CheckpointLook", "Finding", "KeyLook", "Looks", "NodeLook", "Unseen", "Verdict"]

Check = Callable[[Looks], Iterator[Finding]]

CHECKS: Final[Sequence[Check]] = (
    database.reachable,
    database.tables,
    database.role,
    database.connections,
    database.lock,
    clock.against_database,
    clock.against_chain,
    nodes.providers,
    nodes.chain,
    nodes.head,
    nodes.finalized,
    nodes.lag,
    nodes.batches,
    nodes.receipts,
    nodes.hashes,
    nodes.heads,
    deployment.manifest,
    deployment.chains,
    deployment.contracts,
    deployment.digest,
    log.log,
    log.tip,
    log.gaps,
    log.evidence,
    log.holds,
    log.sealing,
    log.producers,
    log.books,
    keys.key,
    keys.mode,
    keys.checkpoint,
)
"""Every check, in the order of the report."""

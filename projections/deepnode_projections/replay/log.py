"""Replaying a log that is at hand, in a database: the fastest way from the sealed log to a state root."""

from pathlib import Path

from deepnode_ledger.snapshot import Snapshot
from deepnode_projections.replay.replaying import Replay


def replay_log(snapshot: Snapshot, replay: Replay, cache: Path | None = None) -> None:
    """Feed a replay with the whole log, as it stands in a transaction.

    Args:
        snapshot: of the log.
        replay: at position 0, of the deployment's manifest.
        cache: a folder of what was decoded before, made if it is missing; it may be deleted at any time. A replay
            without the kernel does not use it.

    Raises:
        Damaged: a stored batch cannot be read, or the log has a gap.
        OSError: the cache cannot be written to.
    """
    assert replay.position == 0, replay.position
    if not replay.is_compiled:
        for batch in snapshot.read(1):
            replay.feed(batch)
        return
    from deepnode_projections.kernel.cache import DecodedCache
    from deepnode_projections.kernel.log_source import decoded_runs

    roster = replay.roster
    for run in decoded_runs(snapshot, roster, None if cache is None else DecodedCache(cache, roster.manifest)):
        replay.feed_decoded(run.decoded, run.entry_at)
        run.done()
        # Its memory is for the run that is read next.
        del run

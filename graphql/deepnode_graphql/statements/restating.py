"""As corrected: what an address would have earned, had every corrected event been told rightly at once.

The books never change what was counted in an epoch that is over, and what was paid is paid. So a statement's own
figures stay, and beside them stands what a replay of the log with the right values gives
(``deepnode_projections.correcting``). It reads the whole log up to the statement's end: it is for the command line,
and no request over HTTP can ask for it.
"""

from collections.abc import Mapping, Sequence

from deepnode_graphql.reading import Reading, driver_connection
from deepnode_graphql.statements.statement import CorrectedEvent, CorrectedReward
from deepnode_graphql.statements.tokens import tokens_of
from deepnode_ledger.snapshot import Snapshot
from deepnode_projections.correcting import Rightly, in_force
from deepnode_projections.registers.at import StateAt
from deepnode_projections.replay import Replay
from deepnode_projections.rules.corrections import Correction
from deepnode_projections.rules.pools import Reward

_Line = tuple[int, bytes, bytes, str, str, bytes]
"""Epoch, domain, token, role, kind and subject of a line."""


def restate(
    reading: Reading, address: bytes, opening: int, position: int, known: int
) -> tuple[tuple[CorrectedReward, ...], tuple[CorrectedEvent, ...]]:
    """Return what was earned behind ``opening`` up to ``position``, as counted and as corrected; and by which events.

    Args:
        reading: the books.
        address: who has earned it (20 bytes).
        opening: the last position before the period.
        position: the period's last position.
        known: corrections count up to this position, which is not before the period's end.
    """
    connection = driver_connection(reading.database)
    corrections = StateAt(connection, known).every(Correction)
    counted = {
        _line(each): each.amount
        for at, each in StateAt(connection, position).found(Reward, "earner", address)
        if at > opening
    }
    late = [each for each in in_force(corrections) if not each.in_time]
    corrected: Mapping[_Line, int] = counted
    if late:
        corrected = _replayed(reading, corrections, address, opening, position)
    tokens = {each.address: each for each in tokens_of(reading).values()}
    rewards = [
        CorrectedReward(key[0], key[1], *key[3:6], tokens[key[2]], counted.get(key, 0), corrected.get(key, 0))
        for key in sorted({*counted, *corrected})
        if key[2] in tokens
    ]
    return tuple(rewards), tuple(_event(each) for each in late)


def _replayed(
    reading: Reading, corrections: Sequence[Correction], address: bytes, opening: int, position: int
) -> Mapping[_Line, int]:
    """Replay the log as corrected; return the address's lines that came behind ``opening``."""
    rightly, log = Rightly(corrections), Snapshot(driver_connection(reading.database))
    replay = Replay(reading.manifest)
    before: set[_Line] = set()
    for first, last in ((1, opening), (opening + 1, position)):
        before = {_line(each) for each in replay.records(Reward) if each.earner == address}
        for batch in log.read(first, last) if first <= last else ():
            replay.feed(rightly.told(batch))
    lines = [each for each in replay.records(Reward) if each.earner == address and _line(each) not in before]
    return {_line(each): each.amount for each in lines}


def _line(reward: Reward) -> _Line:
    return reward.epoch, reward.domain, reward.asset, reward.role, reward.kind, reward.subject


def _event(correction: Correction) -> CorrectedEvent:
    return CorrectedEvent(
        correction.corrected_position,
        correction.producer,
        correction.corrects,
        correction.value_name,
        correction.told,
        correction.value,
        correction.epoch,
        correction.reason,
    )

"""Do the clocks agree: this machine's, the database's and the chain's?

Nothing in the log depends on a clock, so a wrong one loses nothing. It does make ages, alerts and Retry-After wrong,
and witnesses sign the time that they believe.
"""

from collections.abc import Iterator
from typing import Final

from deepnode_cli.checks.finding import Finding, Unseen, bad, ok, skipped, warn
from deepnode_cli.checks.looks import Looks

DIFFERENCE_SECONDS: Final = 2.0
DIFFERENCE_SECONDS_MAX: Final = 30.0

FUTURE_SECONDS_MAX: Final = 15.0
"""Ethereum's nodes themselves refuse a block that is further ahead of their clocks."""


def against_database(looks: Looks) -> Iterator[Finding]:
    """This machine's clock is the database's."""
    check, state = "clock-database", looks.database
    if isinstance(state, Unseen):
        yield skipped(check, "see database" if state.is_bad else state)
        return
    ahead_seconds, round_trip_seconds = state.ahead_seconds, state.round_trip_seconds
    off_seconds = max(abs(ahead_seconds) - round_trip_seconds / 2, 0.0)
    says = (
        f"the database's clock is {abs(ahead_seconds):.2f} s {'ahead of' if ahead_seconds > 0 else 'behind'} this "
        f"machine's (known to {round_trip_seconds / 2:.2f} s; at most {DIFFERENCE_SECONDS:g} s is well)"
    )
    to_do = "set both clocks by NTP (`chronyc tracking`, `timedatectl`)"
    if off_seconds > DIFFERENCE_SECONDS_MAX:
        yield bad(check, says, to_do)
    elif off_seconds > DIFFERENCE_SECONDS:
        yield warn(check, says, to_do)
    else:
        yield ok(check, says)


def against_chain(looks: Looks) -> Iterator[Finding]:
    """No head block is of a time that this machine has not reached."""
    check = "clock-chain"
    if isinstance(looks.nodes, Unseen):
        yield skipped(check, looks.nodes)
        return
    heights = [
        (node.heights.head.time - node.heights.asked_at_seconds, node)
        for node in looks.nodes
        if not isinstance(node.heights, Unseen)
    ]
    if not heights:
        yield skipped(check, "no provider told of its head")
        return
    ahead_seconds, node = max(heights, key=lambda each: each[0])
    side = "ahead of" if ahead_seconds > 0 else "behind"
    says = (
        f"the newest head block's time is {abs(ahead_seconds):.0f} s {side} this machine's clock "
        f"(at most {FUTURE_SECONDS_MAX:g} s ahead is well)"
    )
    if ahead_seconds > FUTURE_SECONDS_MAX:
        to_do = "set this machine's clock by NTP; a development chain may also run ahead of the time"
        yield warn(check, says, to_do, about=node.about)
    else:
        yield ok(check, says, about=node.about)

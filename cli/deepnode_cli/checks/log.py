"""Is the log whole and moving: no gap, nothing held, evidence for every range, sealing and books that keep up?"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from deepnode_cli.checks.finding import Finding, Unseen, bad, ok, skipped, unseen, warn
from deepnode_cli.checks.looks import Looks
from deepnode_indexer.confirming import SEAL_BLOCKS
from deepnode_ledger.log_state import ChainState
from deepnode_projections.projector import STEP_ENTRIES

SHOWN: Final = 3
"""Ranges that a line names."""

PENDING_ENTRIES: Final = 1_000_000
"""More than this waits nowhere between two finalized blocks: something keeps entries from being sealed."""

UNSEALED_BLOCKS: Final = 2 * SEAL_BLOCKS
"""Final blocks wait until there are enough of them for a batch; twice that many is a fault."""

TIP_SECONDS: Final = 60.0


def log(looks: Looks) -> Iterator[Finding]:
    """The log can be read, and what waits to be sealed is not too much."""
    if isinstance(looks.log, Unseen):
        yield unseen("log", looks.log, "see the findings about the database")
        return
    head = looks.log.head
    says = f"{head.last_position} entries, {head.sealed_position} of them sealed, {looks.log.pending} waiting"
    if looks.log.pending > PENDING_ENTRIES:
        yield warn("log", says, "see the findings about holds, sealing and finality")
    else:
        yield ok("log", says)


def _each(judge: Callable[[Looks, ChainState], Iterator[Finding]], check: str, looks: Looks) -> Iterator[Finding]:
    if isinstance(looks.log, Unseen):
        yield skipped(check, looks.log)
    elif not looks.log.chains:
        yield skipped(check, "the log holds no chain yet")
    else:
        for state in looks.log.chains:
            yield from judge(looks, state)


def _gaps(_looks: Looks, state: ChainState) -> Iterator[Finding]:
    """The covered ranges leave nothing out."""
    check, about = "coverage-gaps", f"chain {state.chain.chain_id}"
    gaps = state.gaps
    if gaps:
        says = f"{len(gaps)} gaps between covered ranges: {_ranges(gaps)}"
        to_do = "the tables were changed by hand: run `deepnode log fsck`, restore a backup or begin a new log"
        yield bad(check, says, to_do, about=about)
    elif state.covered:
        first, last = state.covered[0].first, state.covered[-1].last
        yield ok(check, f"blocks {first} to {last} are sealed without a gap", about=about)
    else:
        yield ok(check, "no block is sealed yet", about=about)


def _evidence(_looks: Looks, state: ChainState) -> Iterator[Finding]:
    """Every covered range has more to show for itself than one provider's word."""
    check, about = "coverage-evidence", f"chain {state.chain.chain_id}"
    weak = list(state.weak)
    if not weak:
        kinds = "; ".join(sorted({each.evidence for each in state.covered})) or "nothing is sealed yet"
        yield ok(check, f"no block rests on one provider's word ({kinds})", about=about)
        return
    blocks = sum(last - first + 1 for first, last in weak)
    says = f"{blocks} blocks in {len(weak)} ranges rest on one provider's word: {_ranges(weak)}"
    repair = f"`deepnode index repair {weak[0][0]}..{weak[0][1]}{_chain_option(state)}`"
    to_do = f"{repair} compares them with the receipts; use --evidence headers, or a second --rpc, from now on"
    yield warn(check, says, to_do, about=about)


def _holds(_looks: Looks, state: ChainState) -> Iterator[Finding]:
    """No blocks are held back because their logs are in doubt."""
    check, about = "coverage-holds", f"chain {state.chain.chain_id}"
    if not state.holds:
        yield ok(check, "nothing is held", about=about)
    for held in state.holds[:SHOWN]:
        says = f"blocks {held.first} to {held.last} are held: {held.reason}"
        repair = f"`deepnode index repair {held.first}..{held.last}{_chain_option(state)}`"
        to_do = f"give a provider with eth_getBlockReceipts, or two that agree, and run {repair}"
        yield bad(check, says, to_do, about=about)
    if len(state.holds) > SHOWN:
        yield bad(check, f"{len(state.holds) - SHOWN} more ranges are held", "as for those above", about=about)


def _sealing(looks: Looks, state: ChainState) -> Iterator[Finding]:
    """What is final is sealed."""
    check, about = "coverage-sealing", f"chain {state.chain.chain_id}"
    told = [h.finalized.number for h in looks.node_heights(state.chain.chain_id) if h.finalized is not None]
    known = ([] if state.chain.finalized is None else [state.chain.finalized.number]) + told
    if not known:
        yield skipped(check, "no block is known to be final", about=about)
        return
    first, final = state.first_unsealed, max(known)
    waiting = max(final - first + 1, 0)
    says = f"the first unsealed block is {first}, {final} is final: {waiting} final blocks wait"
    if waiting > UNSEALED_BLOCKS:
        to_do = (
            f"more than {UNSEALED_BLOCKS} wait while the indexer backfills; otherwise see whether it runs, its "
            "/ready, and the holds"
        )
        yield warn(check, says, to_do, about=about)
    else:
        yield ok(check, says, about=about)


def _tip(looks: Looks, state: ChainState) -> Iterator[Finding]:
    """The log is as far as the chain."""
    check, about = "coverage-tip", f"chain {state.chain.chain_id}"
    heads = [heights.head for heights in looks.node_heights(state.chain.chain_id)]
    tip = state.chain.tip
    if not heads:
        yield skipped(check, "no provider told of its head", about=about)
        return
    head = max(heads, key=lambda block: block.number)
    if tip is None:
        yield warn(check, f"nothing is covered yet, the head is block {head.number}", _START, about=about)
        return
    says = f"covered up to block {tip.number}, the head is block {head.number}"
    if head.time - tip.time > TIP_SECONDS:
        yield warn(check, f"{says}, {head.time - tip.time} s later", _START, about=about)
    else:
        yield ok(check, says, about=about)


_START: Final = "see whether `deepnode index` runs, and what its /ready says; a backfill takes its time"


def producers(looks: Looks) -> Iterator[Finding]:
    """No sequence number of a producer is missing."""
    found = looks.producers
    if isinstance(found, Unseen):
        yield unseen("producers", found, "see the findings about the database")
        return
    missing = [each for each in found.producers if each.missing]
    if not missing:
        events = sum(each.events for each in found.producers)
        yield ok("producers", f"{events} task events of {len(found.producers)} producers, no number missing")
    for state in missing:
        gaps = [(gap.first, gap.last) for gap in found.gaps if gap.producer == state.producer]
        says = f"{state.missing} of {state.last_sequence} events never came: {_ranges(gaps)}"
        to_do = "ask the producer to send them again; what is in the log already is taken as a repetition"
        yield warn("producers", says, to_do, about=state.producer)


def books(looks: Looks) -> Iterator[Finding]:
    """The books are at the log's end, or somebody takes them there."""
    for each in (looks.books, looks.log):
        if isinstance(each, Unseen):
            yield unseen("books", each, "see the findings about the database")
            return
    assert not isinstance(looks.log, Unseen), "seen above"
    last = looks.log.head.last_position
    if looks.books is None or isinstance(looks.books, Unseen):
        yield warn("books", f"there are no books yet, the log has {last} entries", "start `deepnode project`")
        return
    behind = max(last - looks.books.position, 0)
    at_work = "a projector is at work" if looks.books.is_kept else "no projector is at work"
    says = f"at position {looks.books.position} of {last}, {behind} behind; {at_work}"
    if behind and not looks.books.is_kept:
        yield bad("books", says, "start `deepnode project`")
    elif behind > STEP_ENTRIES:
        yield warn("books", says, "wait if they are being made anew; otherwise see what the projector says")
    else:
        yield ok("books", says)


def _ranges(ranges: list[tuple[int, int]]) -> str:
    shown = [f"{first}" if first == last else f"{first} to {last}" for first, last in ranges[:SHOWN]]
    more = ["…"] if len(ranges) > SHOWN else []
    return ", ".join(shown + more) or "see GET /producers"


def _chain_option(state: ChainState) -> str:
    return f" --chain {state.chain.chain_id}"


gaps = partial(_each, _gaps, "coverage-gaps")
evidence = partial(_each, _evidence, "coverage-evidence")
holds = partial(_each, _holds, "coverage-holds")
sealing = partial(_each, _sealing, "coverage-sealing")
tip = partial(_each, _tip, "coverage-tip")

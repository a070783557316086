"""The stages of a verification, in the order in which they run and are reported."""

from deepnode_cli.verifying.chain_evidence import chain_evidence
from deepnode_cli.verifying.covered import covered
from deepnode_cli.verifying.driving import Planned
from deepnode_cli.verifying.entries import entries
from deepnode_cli.verifying.finding import Brought
from deepnode_cli.verifying.listed_files import listed_files
from deepnode_cli.verifying.listing import listing
from deepnode_cli.verifying.replayed import replayed
from deepnode_cli.verifying.signed_tree import signed_tree
from deepnode_cli.verifying.statements import statements


def stages(brought: Brought, *, replay: bool = True) -> tuple[Planned, ...]:
    """Return the stages that run with what the auditor brought.

    Args:
        brought: what the auditor knows from elsewhere.
        replay: whether the entries are folded again; without it no distribution is recomputed.
    """
    return (
        Planned("files", listed_files, is_kept=False),
        Planned("contents", listing),
        Planned("checkpoint", signed_tree),
        Planned("entries", entries),
        Planned("statements", statements),
        Planned("coverage", covered),
        Planned("chain evidence", chain_evidence),
        Planned("replay", replayed, "" if replay else "--no-replay", beside=True),
        _against(brought),
    )


def _against(brought: Brought) -> Planned:
    """The stage that speaks to nodes; without one, nothing that could is even loaded."""
    if not brought.against:
        return Planned("against", lambda _: iter(()), "no --against")
    from deepnode_cli.verifying.against import against

    return Planned("against", against(brought.against), is_kept=False)

"""Is the manifest whole, and is it the one that the log and the books are made with?"""

from collections.abc import Iterator

from deepnode_cli.checks.finding import Finding, Unseen, bad, ok, skipped, unseen, warn
from deepnode_cli.checks.looks import Looks
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.log_state import ChainState
from deepnode_ledger.manifest import Manifest


def manifest(looks: Looks) -> Iterator[Finding]:
    """The manifest and its ABIs load."""
    found = looks.manifest
    if isinstance(found, Unseen):
        yield unseen("manifest", found, "mend the manifest as it says (docs/manifest.md)")
        return
    chains = ", ".join(map(str, found.chains))
    says = f"{found.name!r} version {found.version}: {len(found.contracts)} contracts on {chains}"
    yield ok("manifest", f"{says}, digest {to_hex(found.digest)}")


def digest(looks: Looks) -> Iterator[Finding]:
    """The books were made with this manifest."""
    check = "manifest-books"
    for each in (looks.manifest, looks.books):
        if isinstance(each, Unseen):
            yield skipped(check, each)
            return
    assert not isinstance(looks.manifest, Unseen), "seen above"
    if looks.books is None or isinstance(looks.books, Unseen):
        yield skipped(check, "there are no books yet")
    elif looks.books.manifest_digest == looks.manifest.digest:
        yield ok(check, "the books were made with this manifest")
    else:
        theirs, ours = to_hex(looks.books.manifest_digest), to_hex(looks.manifest.digest)
        says = f"the books were made with the manifest {theirs}, this one is {ours}"
        yield bad(check, says, "run `deepnode rebuild`, or give the manifest that they were made with")


def chains(looks: Looks) -> Iterator[Finding]:
    """The log is of the manifest's chains, and begins where the manifest does."""
    check = "manifest-log"
    for each in (looks.manifest, looks.log):
        if isinstance(each, Unseen):
            yield skipped(check, each)
            return
    assert not isinstance(looks.manifest, Unseen), "seen above"
    assert not isinstance(looks.log, Unseen), "seen above"
    for state in looks.log.chains:
        yield _chain(check, state, looks.manifest)
    for chain_id in looks.manifest.chains.keys() - {state.chain.chain_id for state in looks.log.chains}:
        says = "the log holds nothing of it yet"
        yield warn(check, says, "`deepnode index` begins it when it starts", about=f"chain {chain_id}")


def _chain(check: str, state: ChainState, manifest: Manifest) -> Finding:
    own, about = state.chain, f"chain {state.chain.chain_id}"
    wanted = manifest.chains.get(own.chain_id)
    to_do = "use the manifest that the log was begun with, or another database"
    if wanted is None:
        return bad(check, "the log holds this chain, the manifest does not name it", to_do, about=about)
    if own.genesis_hash != wanted.genesis_hash:
        hashes = f"{to_hex(own.genesis_hash)}, the manifest's is {to_hex(wanted.genesis_hash)}"
        return bad(check, f"the log was begun on a chain with genesis {hashes}", to_do, about=about)
    first = manifest.first_block_of(own.chain_id)
    if own.first_block != first:
        says = f"the log starts at block {own.first_block}, the manifest's earliest start_block is {first}"
        return bad(check, says, to_do, about=about)
    return ok(check, f"same genesis, both start at block {first}", about=about)


def contracts(looks: Looks) -> Iterator[Finding]:
    """No contract of the manifest begins in blocks that were covered without asking for its logs."""
    check = "manifest-contracts"
    for each in (looks.manifest, looks.log):
        if isinstance(each, Unseen):
            yield skipped(check, each)
            return
    assert not isinstance(looks.manifest, Unseen), "seen above"
    assert not isinstance(looks.log, Unseen), "seen above"
    for state in looks.log.chains:
        if state.chain.chain_id in looks.manifest.chains:
            yield _contracts(check, state, looks.manifest)


def _contracts(check: str, state: ChainState, manifest: Manifest) -> Finding:
    about = f"chain {state.chain.chain_id}"
    declared = manifest.on(state.chain.chain_id)
    new = [each for each in declared if each.address not in state.contracts]
    tip = state.chain.tip
    if not state.contracts:
        return skipped(check, "the log has not noted whose logs it asks for", about=about)
    missed = [each for each in new if tip is not None and each.start_block <= tip.number]
    if missed and tip is not None:
        names = ", ".join(f"{each.name} from block {each.start_block}" for each in missed[:5])
        says = f"{len(missed)} contracts begin in blocks that are covered without their logs: {names}"
        to_do = f"let them start at block {tip.number + 1} or later, or begin a new log"
        return bad(check, says, to_do, about=about)
    gone = len(state.contracts - {each.address for each in declared})
    if gone:
        says = f"{gone} contracts whose logs were asked for are not in the manifest any more"
        return warn(check, says, "put them back: their logs in the log have no meaning without them", about=about)
    later = f", {len(new)} of them new" if new else ""
    return ok(check, f"{len(declared)} contracts{later}, all covered from their first block", about=about)

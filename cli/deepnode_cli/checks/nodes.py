"""Are the providers fit to index from: the right chain, fresh, and able to answer what is asked and to prove it?"""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from deepnode_cli.checks.finding import Finding, Unseen, bad, ok, skipped, unseen, warn
from deepnode_cli.checks.looks import Looks, NodeLook
from deepnode_indexer.level import Level
from deepnode_indexer.pool import LAG_BLOCKS
from deepnode_indexer.provider import BATCH_CALLS
from deepnode_ledger.hexadecimal import to_hex

AGE_SECONDS: Final = 60.0
AGE_SECONDS_MAX: Final = 900.0

FINALITY_SECONDS: Final = 3_600.0
"""Ethereum finalizes after 13 to 20 minutes, Base some minutes later."""

DEVELOPMENT_CHAINS: Final = frozenset({1337, 31337})
"""What anvil, Hardhat and geth's developer mode call themselves. Their blocks have times of their own."""

YOUNG_BLOCKS: Final = 1_000
"""A chain shorter than this may just not have finalized anything yet."""

BATCH_CALLS_MIN: Final = 3
"""A range's logs come in one request with the headers of both its ends."""


def providers(looks: Looks) -> Iterator[Finding]:
    """Every chain has a provider, and better two."""
    check = "providers"
    for wrong in looks.wrong_rpc:
        yield bad(check, wrong, "mend --rpc (DEEPNODE_RPC_URL)")
    if isinstance(looks.nodes, Unseen):
        yield unseen(check, looks.nodes, "mend --rpc (DEEPNODE_RPC_URL)")
        return
    counts = Counter(node.chain_id for node in looks.nodes)
    chain_ids = list(counts) if isinstance(looks.manifest, Unseen) else list(looks.manifest.chains)
    for chain_id in chain_ids:
        about = "" if chain_id is None else f"chain {chain_id}"
        if not counts[chain_id]:
            yield bad(check, "no provider is given", f"add --rpc {chain_id}=URL", about=about)
        elif counts[chain_id] == 1:
            says = "one provider: nobody to fall back on, and nobody whose answers could be compared"
            yield warn(check, says, "add a second --rpc of another operator", about=about)
        else:
            yield ok(check, f"{counts[chain_id]} providers", about=about)


def _each(judge: Callable[[Looks, NodeLook], Iterator[Finding]], check: str, looks: Looks) -> Iterator[Finding]:
    if isinstance(looks.nodes, Unseen):
        yield skipped(check, looks.nodes)
        return
    for node in looks.nodes:
        yield from judge(looks, node)


def _unseen(check: str, node: NodeLook, why: Unseen, to_do: str) -> Finding:
    """Find that a node did not answer this one question, unless it answers nothing at all."""
    if isinstance(node.identity, Unseen):
        return skipped(check, "see provider-chain", about=node.about)
    return bad(check, why.reason, to_do, about=node.about)


def _chain(looks: Looks, node: NodeLook) -> Iterator[Finding]:
    """The provider answers and serves the manifest's chain."""
    check, found, about = "provider-chain", node.identity, node.about
    if isinstance(found, Unseen):
        yield bad(check, found.reason, "start the node, mend the URL or its key, or ask the provider", about=about)
        return
    if isinstance(looks.manifest, Unseen):
        yield skipped(check, f"it serves chain {found.chain_id}; {looks.manifest.reason}", about=about)
        return
    assert node.chain_id is not None, "with a manifest every provider is given for a chain"
    wanted = looks.manifest.chains[node.chain_id]
    genesis = "none" if found.genesis_hash is None else to_hex(found.genesis_hash)
    if found.chain_id != wanted.id:
        says = f"it serves chain {found.chain_id} and is given for chain {wanted.id}"
        yield bad(check, says, f"give it as --rpc {found.chain_id}=URL, or another URL", about=about)
    elif found.genesis_hash != wanted.genesis_hash:
        says = f"its block 0 is {genesis}, the manifest's genesis_hash is {to_hex(wanted.genesis_hash)}"
        yield bad(check, says, "another chain of the same id: give another URL, or mend the manifest", about=about)
    else:
        yield ok(check, f"chain {found.chain_id}, genesis {genesis}", about=about)


def _head(_looks: Looks, node: NodeLook) -> Iterator[Finding]:
    """The newest block is young."""
    check, found, about = "provider-head", node.heights, node.about
    if isinstance(found, Unseen):
        yield _unseen(check, node, found, "see what eth_getBlockByNumber answers for 'latest' on this node")
        return
    if _chain_id(node) in DEVELOPMENT_CHAINS:
        yield ok(check, f"block {found.head.number} of a development chain, whose time is its own", about=about)
        return
    age_seconds = found.asked_at_seconds - found.head.time
    says = f"block {found.head.number}, {max(age_seconds, 0):.0f} s old (at most {AGE_SECONDS:g} s is well)"
    to_do = "see whether the node is syncing, or the chain or its sequencer stands still"
    if age_seconds > AGE_SECONDS_MAX:
        yield bad(check, says, to_do, about=about)
    elif age_seconds > AGE_SECONDS:
        yield warn(check, says, to_do, about=about)
    else:
        yield ok(check, says, about=about)


def _chain_id(node: NodeLook) -> int | None:
    if node.chain_id is None and not isinstance(node.identity, Unseen):
        return node.identity.chain_id
    return node.chain_id


def _finalized(_looks: Looks, node: NodeLook) -> Iterator[Finding]:
    """The node knows which blocks are final; only these are sealed."""
    check, found, about = "provider-finalized", node.heights, node.about
    if isinstance(found, Unseen):
        yield skipped(check, "see provider-head", about=about)
    elif found.finalized is None:
        says, to_do = f"no final block: {found.why_not}", "nothing is sealed without one: use a node that has the tag"
        if found.head.number < YOUNG_BLOCKS:
            yield warn(check, says, "the chain is young; nothing is sealed before there is one", about=about)
        else:
            yield bad(check, says, to_do, about=about)
    else:
        behind_seconds = found.head.time - found.finalized.time
        says = f"block {found.finalized.number}, {behind_seconds} s behind the head"
        if behind_seconds > FINALITY_SECONDS:
            to_do = "the chain's finality stands still, or the node has lost the layer below: nothing new is sealed"
            yield warn(check, says, to_do, about=about)
        else:
            yield ok(check, says, about=about)


def _lag(looks: Looks, node: NodeLook) -> Iterator[Finding]:
    """The node is as far as the others."""
    check, found, about = "provider-lag", node.heights, node.about
    if isinstance(found, Unseen):
        yield skipped(check, "see provider-head", about=about)
        return
    all_heads = [found.head.number] if node.chain_id is None else _heads_of(looks, node.chain_id)
    if len(all_heads) < 2:
        yield skipped(check, "there is no other provider to compare it with", about=about)
        return
    lag = max(all_heads) - found.head.number
    says = f"{lag} blocks behind the newest head of the {len(all_heads)} providers"
    if lag > LAG_BLOCKS:
        yield warn(check, says, f"it is asked last while it is more than {LAG_BLOCKS} behind", about=about)
    else:
        yield ok(check, says, about=about)


def _heads_of(looks: Looks, chain_id: int) -> list[int]:
    return [heights.head.number for heights in looks.node_heights(chain_id)]


def _batches(_looks: Looks, node: NodeLook) -> Iterator[Finding]:
    """The node answers batch requests."""
    check, found, about = "provider-batches", node.batches, node.about
    if isinstance(found, Unseen):
        yield _unseen(check, node, found, "use a provider that answers JSON-RPC batches")
    elif found.calls < BATCH_CALLS_MIN:
        says = f"{found.calls} calls in a request: {found.refusal}"
        yield bad(check, says, f"a range needs {BATCH_CALLS_MIN}: another plan or provider", about=about)
    elif found.calls < BATCH_CALLS:
        says = f"{found.calls} calls in a request: {found.refusal}"
        yield warn(check, says, "indexing takes more requests, and works", about=about)
    else:
        yield ok(check, f"{found.calls} calls in a request", about=about)


def _receipts(looks: Looks, node: NodeLook) -> Iterator[Finding]:
    """The node has the receipts that decide a dispute."""
    check, found, about = "provider-receipts", node.proof, node.about
    if isinstance(found, Unseen):
        yield _unseen(check, node, found, "see what eth_getBlockReceipts answers on this node")
    elif found.by_block:
        yield ok(check, "eth_getBlockReceipts answers", about=about)
    elif found.one_by_one:
        says = "no eth_getBlockReceipts; receipts are asked for one by one with eth_getTransactionReceipt"
        yield warn(check, says, "it works, and costs a call for each transaction", about=about)
    else:
        says, to_do = "no receipts at all", "use a provider with eth_getBlockReceipts"
        if looks.level is Level.RECEIPTS:
            yield bad(check, f"{says}, and --evidence receipts needs them", to_do, about=about)
        else:
            yield warn(check, f"{says}: where answers differ, nothing can decide", to_do, about=about)


def _hashes(looks: Looks, node: NodeLook) -> Iterator[Finding]:
    """The node's header and receipts hash to the block's hash."""
    check, found, about = "provider-hashes", node.proof, node.about
    if isinstance(found, Unseen):
        yield skipped(check, "see provider-receipts", about=about)
    elif found.fault is None:
        yield ok(check, "a final block's header has its hash, and what receipts came fit it", about=about)
    else:
        to_do = "the node alters its answers, or its chain has headers that are not known here: use another one"
        finder = warn if looks.level is Level.ENDS else bad
        yield finder(check, found.fault, to_do, about=about)


def _heads(_looks: Looks, node: NodeLook) -> Iterator[Finding]:
    """A WebSocket tells of new heads."""
    check, found, about = "provider-heads", node.tells_heads, node.about
    if found is None:
        yield skipped(check, "a URL over HTTP; new heads are found by polling", about=about)
    elif isinstance(found, Unseen) or not found:
        says = "the node took no subscription to newHeads"
        yield warn(check, says, "new heads are found by polling alone: see whether the URL is right", about=about)
    else:
        yield ok(check, "the node took a subscription to newHeads", about=about)


chain = partial(_each, _chain, "provider-chain")
head = partial(_each, _head, "provider-head")
finalized = partial(_each, _finalized, "provider-finalized")
lag = partial(_each, _lag, "provider-lag")
batches = partial(_each, _batches, "provider-batches")
receipts = partial(_each, _receipts, "provider-receipts")
hashes = partial(_each, _hashes, "provider-hashes")
heads = partial(_each, _heads, "provider-heads")

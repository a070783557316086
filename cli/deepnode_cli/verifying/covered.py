"""The stage ``coverage``: the log claims to be whole up to a block of each chain, and says why.

A claim that nothing was left out needs a reason for every block. Here the reasons are complete and agree with each
other and with bundle.json. Whether they are true, headers and receipts show (stage ``chain evidence``), or a node of
the auditor's own (``--against``). Who wants neither brings at least the hash of the last block.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from deepnode_cli.verifying.finding import Examination, Finding, Severity
from deepnode_ledger.backup.manifest import EvidencePart
from deepnode_ledger.bundle import ChainPart, knowledge, layout
from deepnode_ledger.bundle.knowledge import Coverage
from deepnode_ledger.errors import BadInput
from deepnode_ledger.evidence import EvidenceKind
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest

STAGE: Final = "coverage"

_KINDS: Final = tuple(EvidenceKind)


def covered(examination: Examination) -> Iterator[Finding]:
    """Check that the covered ranges reach without a gap, each with its evidence, and whose logs were asked for."""
    bundle = examination.bundle
    yield from _of_blocks(bundle.contents.chains, examination.brought.blocks)
    try:
        coverage = knowledge.decode(bundle.read(layout.COVERAGE))
    except BadInput as error:
        yield Finding(Severity.ERROR, STAGE, layout.COVERAGE, str(error))
        return
    examination.count("ranges", len(coverage.coverage))
    examination.count("reasons", len(coverage.evidence))
    known = {chain.chain_id: chain for chain in bundle.contents.chains}
    spoken_of = {row.chain_id for row in coverage.coverage} | {row.chain_id for row in coverage.evidence}
    spoken_of |= {row.chain_id for row in coverage.contracts} | {row.chain_id for row in coverage.reorgs}
    for chain_id in sorted(spoken_of - set(known)):
        yield _error(f"it speaks of chain {chain_id}, which bundle.json does not know")
    for chain in bundle.contents.chains:
        yield from _of_chain(chain, coverage)
    yield from _of_evidence(coverage.evidence)
    yield from _of_contracts(coverage, _manifest(examination), known)


def _manifest(examination: Examination) -> Manifest | None:
    try:
        return examination.bundle.manifest()
    except BadInput:
        # The stage of the contents says so.
        return None


def _of_blocks(chains: tuple[ChainPart, ...], brought: Mapping[int, bytes]) -> Iterator[Finding]:
    """Compare the last blocks with those that the auditor knows."""
    for chain in chains:
        if chain.last_block is None or chain.last_hash is None:
            continue
        where = f"block {chain.chain_id}:{chain.last_block}"
        if chain.chain_id not in brought:
            said = (
                f"that it has the hash {chain.last_hash} is the bundle's word: compare it with a node or an explorer,"
            )
            yield Finding(Severity.WARNING, STAGE, where, f"{said} or pass the hash with --block {chain.chain_id}=HASH")
        elif to_hex(brought[chain.chain_id]) != chain.last_hash:
            said = f"it has the hash {chain.last_hash}, the auditor knows {to_hex(brought[chain.chain_id])}"
            yield Finding(Severity.ERROR, STAGE, where, said)
    for chain_id in sorted(set(brought) - {chain.chain_id for chain in chains if chain.last_block is not None}):
        said = f"a hash of a block of chain {chain_id} was brought, and the bundle has no entry of it"
        yield Finding(Severity.ERROR, STAGE, "bundle.json", said)


def _of_chain(chain: ChainPart, coverage: Coverage) -> Iterator[Finding]:
    rows = [row for row in coverage.coverage if row.chain_id == chain.chain_id]
    if chain.last_block is None:
        if rows:
            yield _error(f"chain {chain.chain_id} has no entry, and covered blocks")
        return
    expected = chain.first_block
    for row in rows:
        where = f"chain {chain.chain_id}, blocks {row.first_block} to {row.last_block}"
        if row.first_block != expected:
            integers = {"first_block": row.first_block, "expected": expected}
            yield _error(f"{where}: the range must begin at block {expected}", integers)
        if row.last_block < row.first_block:
            yield _error(f"{where}: it ends before it begins")
        yield from _of_reasons(chain.chain_id, row.first_block, row.last_block, row.evidence, coverage, where)
        expected = row.last_block + 1
    if expected != chain.last_block + 1:
        integers = {"covered": expected - 1, "last_block": chain.last_block}
        said = f"chain {chain.chain_id} is covered up to block {expected - 1}, its entries reach {chain.last_block}"
        yield _error(said, integers)
    elif rows and rows[-1].last_hash != chain.last_hash:
        said = f"chain {chain.chain_id}: block {chain.last_block} has the hash {rows[-1].last_hash}, bundle.json says "
        yield _error(f"{said}{chain.last_hash}")


def _of_reasons(chain_id: int, first: int, last: int, named: str, coverage: Coverage, where: str) -> Iterator[Finding]:
    """Check that each kind of evidence that a range names has rows that reach over it."""
    kinds = named.split("+")
    if [kind for kind in _KINDS if kind in kinds] != kinds:
        yield _error(f"{where}: {named!r:.80} names no kinds of evidence in their order")
        return
    for kind in kinds:
        at = first
        ranges = (row for row in coverage.evidence if row.chain_id == chain_id and row.kind == kind)
        for row in sorted(ranges, key=lambda each: each.first_block):
            if row.first_block <= at:
                at = max(at, row.last_block + 1)
        if at <= last:
            yield _error(f"{where}: it names {kind}, and from block {at} on no such evidence is there", {"block": at})


def _of_evidence(evidence: tuple[EvidencePart, ...]) -> Iterator[Finding]:
    for row in evidence:
        where = f"{row.kind} of chain {row.chain_id}, blocks {row.first_block} to {row.last_block}"
        if row.kind not in _KINDS:
            yield _error(f"{where}: there is no such kind of evidence")
        if row.last_block < row.first_block or row.blocks > row.last_block - row.first_block + 1:
            yield _error(f"{where}: it cannot speak of {row.blocks} blocks", {"blocks": row.blocks})


def _of_contracts(coverage: Coverage, manifest: Manifest | None, known: Mapping[int, ChainPart]) -> Iterator[Finding]:
    """Check that the logs of every contract of the manifest were asked for, from its first block on."""
    if manifest is None:
        return
    asked = {(row.chain_id, row.address): row.first_block for row in coverage.contracts}
    for chain_id, chain in known.items():
        if chain.last_block is None or not any(row.chain_id == chain_id for row in coverage.contracts):
            continue
        for contract in manifest.on(chain_id) if chain_id in manifest.chains else ():
            first = asked.get((chain_id, to_hex(contract.address)))
            if contract.start_block > chain.last_block:
                continue
            if first is None:
                yield _error(f"the logs of {contract.name}, {to_hex(contract.address)}, were never asked for")
            elif first > contract.start_block:
                said = f"the logs of {contract.name} were asked for from block {first} on, it begins at "
                integers = {"first_block": first, "start_block": contract.start_block}
                yield _error(f"{said}{contract.start_block}", integers)


def _error(said: str, integers: Mapping[str, int] | None = None) -> Finding:
    return Finding(Severity.ERROR, STAGE, layout.COVERAGE, said, integers=dict(integers or {}))

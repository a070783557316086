"""Making a proof of what an address has earned of an asset for an epoch, from the books and the published log."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from deepnode_cli.proving import proof_file, tasks_done
from deepnode_cli.proving.claim import claims
from deepnode_cli.proving.divisions import Divisions
from deepnode_cli.proving.evidence import Evidence, Prove
from deepnode_cli.proving.tasks_done import Pool
from deepnode_ledger import vocabulary
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest
from deepnode_projections.explaining import Asset, NothingToExplain
from deepnode_projections.explaining.division import divisions
from deepnode_projections.explaining.past import Past
from deepnode_projections.rules.domains import weights_at
from deepnode_projections.rules.emission import Allocation
from deepnode_projections.rules.epochs import Epoch
from deepnode_projections.rules.parameters import RulesetInForce, ruleset_at, ruleset_hash_in_force
from deepnode_projections.rules.pools import Reward
from deepnode_projections.rulesets import Ruleset
from deepnode_projections.rulesets.ruleset import SECTIONS

KINDS: Final = ("Domains", "Emission", "Funding", "Models", "Nodes", "Parameters", "Rewards", "Staking")
"""Kinds of contracts whose events a proof rests on."""

_OF_WORK: Final = frozenset({"miner", "creator", "backer"})
_OF_JUDGEMENT: Final = frozenset({"validator", "delegator"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose proof: an address and a token (20 bytes each), and the epoch."""

    earner: bytes
    asset: Asset
    epoch: int


def make_proof(
    past: Past, manifest: Manifest, wanted: Wanted, prove: Prove, statement: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Make a proof.

    Args:
        past: the books at a position.
        manifest: of the deployment.
        wanted: whose, of which asset and epoch.
        prove: proves entries of the log.
        statement: the earner's statement of the epoch as ``data_file.as_data`` gives it, if there is one.

    Raises:
        NothingToExplain: nothing was earned. BadInput: an entry is not published yet, or the proof would be too large.
    """
    epoch, asset, evidence = wanted.epoch, wanted.asset.address, Evidence()
    lines = [
        each for _, each in past.found(Reward, "earner", wanted.earner) if (each.epoch, each.asset) == (epoch, asset)
    ]
    if not lines:
        raise NothingToExplain(f"{to_hex(wanted.earner)} has earned no {wanted.asset.symbol} for epoch {epoch}")
    opened, closed = past.get(Epoch, epoch), past.get(Epoch, epoch + 1)
    assert opened is not None, "a line is of an epoch that was opened"
    assert closed is not None, "what is allocated is of an epoch that is over"
    made: list[dict[str, Any]] = []
    pools, written = [], []
    for domain in sorted({each.domain for each in lines}):
        pool, told = _pool(past, manifest, wanted, domain, lines, evidence, made)
        pools.append(pool)
        written += told
    total = sum(each.amount for each in lines)
    proof = {
        "format": proof_file.FORMAT,
        "chain": manifest.chain_id,
        "manifest": to_hex(manifest.digest),
        "contracts": _contracts(manifest),
        "foundation": None if manifest.foundation is None else to_hex(manifest.foundation),
        "earner": to_hex(wanted.earner),
        "asset": {"address": to_hex(asset), "symbol": wanted.asset.symbol, "decimals": wanted.asset.decimals},
        "epoch": epoch,
        "position": past.position,
        "opened": evidence.at(opened.opened_position),
        "closed": evidence.at(closed.opened_position),
        "ruleset": _ruleset(past, epoch, evidence),
        "pools": pools,
        "divisions": made,
        "lines": written,
        "amount": str(total),
        "statement": None if statement is None else dict(statement),
        **claims(past, asset, wanted.earner, epoch, total, evidence),
    }
    return {**proof, **evidence.proven(prove)}


def _pool(
    past: Past,
    manifest: Manifest,
    wanted: Wanted,
    domain: bytes,
    lines: list[Reward],
    evidence: Evidence,
    made: list[dict[str, Any]],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Write a domain's pool down, and the earner's lines of it."""
    epoch, asset = wanted.epoch, wanted.asset.address
    allocated = past.since(Allocation, epoch, domain, asset)
    assert allocated is not None, "a line comes about by an allocation"
    # What the rules knew when they divided: they are asked at that entry, and nothing that came later counts.
    pool = Pool(past.at(allocated), epoch, domain, evidence)
    fact = pool.past.get(Allocation, epoch, domain, asset)
    assert fact is not None, (epoch, domain)
    assert weights_at(pool.past, domain, epoch) is not None, "a domain without weights has no lines"
    ways, told, roles = Divisions(pool, fact, manifest.foundation, made), [], set()
    for line in lines:
        if line.domain == domain:
            roles.add(line.role)
            told.append(
                {
                    "domain": to_hex(domain),
                    "role": line.role,
                    "kind": line.kind,
                    "subject": to_hex(line.subject),
                    "amount": str(line.amount),
                    "path": line.path,
                    "way": ways.way(line, divisions(line.path)),
                }
            )
    credited = tasks_done.credited(pool) if roles & _OF_WORK else []
    judged = tasks_done.judged(pool) if roles & _OF_JUDGEMENT else []
    return {
        "domain": to_hex(domain),
        "allocated": evidence.at(allocated),
        "credited": credited,
        "judged": judged,
    }, told


def _contracts(manifest: Manifest) -> list[dict[str, Any]]:
    """Say of each event that a proof can rest on who may have emitted it."""
    found: list[dict[str, Any]] = []
    for kind in KINDS:
        here = [c for c in manifest.contracts.values() if c.kind == kind and c.chain_id in (None, manifest.chain_id)]
        told = {"kind": kind, "addresses": [to_hex(each.address) for each in here]}
        found += [{**told, "signature": event.signature} for event in vocabulary.KINDS[kind] if here]
    return found


def _ruleset(past: Past, epoch: int, evidence: Evidence) -> dict[str, Any]:
    """Say which rules the epoch was counted by: their text, their hash, and the entry that activated them."""
    rules, active = ruleset_at(past, epoch), ruleset_hash_in_force(past, epoch)
    activated = None
    if active is not None:
        standing = next(each for each in reversed(past.every(RulesetInForce)) if each.from_epoch <= epoch)
        since = past.since(RulesetInForce, standing.version)
        assert since is not None
        activated = evidence.at(since)
        if active not in rules.hashes:
            raise BadInput(f"epoch {epoch} has the ruleset {to_hex(active)}, which does not come with this program")
    return {
        "name": rules.name,
        "hash": to_hex(rules.spec_hash),
        "rules": rules.canonical,
        "toml": text_of(rules),
        "activated": activated,
    }


def text_of(rules: Ruleset) -> str:
    """Return a ruleset as one TOML file that needs no default below it: tables of numbers, texts, tables and lists."""
    lines = [f"summary = {_toml(rules.summary)}", f"aliases = {_toml(list(rules.aliases))}"]
    for section in SECTIONS:
        lines += ["", f"[{section}]"]
        fields = msgspec.to_builtins(getattr(rules, section))
        lines += [f"{name} = {_toml(value)}" for name, value in fields.items() if value is not None]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    assert isinstance(value, int | str), value
    # JSON's texts are TOML's: the same quotes and escapes.
    return json.dumps(value)

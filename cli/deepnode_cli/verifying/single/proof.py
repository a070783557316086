"""Verifying a proof: from the log's signature up to the amount, by the program's own code.

``docs/check_proof.py`` does the same and shares nothing with this. What is behind it (the entries in the signed tree,
what they say, the chain's roots) cannot be had by who forges a file; what the file says without an entry behind it is
named in a note.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from deepnode_cli.proving import proof_file
from deepnode_cli.verifying.finding import Finding
from deepnode_cli.verifying.single import statement_data
from deepnode_cli.verifying.single.broken import Broken, note, require, warning
from deepnode_cli.verifying.single.proof_entries import Entries, read_entries
from deepnode_cli.verifying.single.proof_lines import PARTS, Given, lines_of
from deepnode_cli.verifying.single.proof_tasks import tally
from deepnode_cli.verifying.single.proof_weights import Weighing, stated
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex, to_hex
from deepnode_ledger.transparency import Verifier
from deepnode_projections import rulesets
from deepnode_projections.maths.claims import Entitlement, verify
from deepnode_projections.maths.rewards import RewardLine
from deepnode_projections.rulesets import Ruleset

STAGE: Final = "proof"

MALFORMED: Final = (
    KeyError,
    TypeError,
    ValueError,
    IndexError,
    AttributeError,
    AssertionError,
    OverflowError,
    BadInput,
)
"""What comes of a file that has not the shape of a proof; assertions of the maths are about their arguments."""

Proof = Mapping[str, Any]


def verify_proof(path: Path, content: bytes, verifiers: Collection[Verifier]) -> Iterator[Finding]:
    """Verify a proof's file; the first step that does not hold is the only finding of severity ERROR."""
    try:
        proof = proof_file.read(content)
        yield from _verified(proof, verifiers)
    except Broken as broken:
        yield broken.finding(STAGE)
    except MALFORMED as error:
        yield Broken(str(path), f"the proof is malformed: {type(error).__name__}: {error}"[:400]).finding(STAGE)


def _verified(proof: Proof, verifiers: Collection[Verifier]) -> Iterator[Finding]:
    require(proof["digest"] == proof_file.digest_of(dict(proof)), "digest", "the file was changed since it was made")
    entries = read_entries(proof, verifiers)
    if not verifiers:
        said = f"no key was given (--verifier): that {entries.head.origin} has signed the tree is not checked"
        yield warning(STAGE, "checkpoint", said)
    rules = _rules(proof, entries)
    lines = _lines(proof, rules, entries)
    total = sum(line.amount for line in lines)
    require(
        str(total) == proof["amount"], "amount", f"the lines come to {total}, the file says {proof['amount']!a:.60}"
    )
    _claims(proof, entries, total)
    if proof["statement"] is not None:
        statement_data.check(proof["statement"])
        told = proof["statement"]
        require(told["address"] == proof["earner"], "statement", f"the statement is of {told['address']!a:.60}")
        require(told["position"] == proof["closed"] - 1, "statement", "the statement is not of the epoch")
    size, symbol = entries.head.size, proof["asset"]["symbol"]
    said = (
        f"{proof['earner']} has earned {total} base units of {symbol} for epoch {proof['epoch']}: {len(lines)} lines, "
        f"made again from {len(entries.said)} entries of the log's first {size}"
    )
    yield note(STAGE, "amount", said, amount=total, entries=len(entries.said), size=size)
    yield from _stated(proof)


def _rules(proof: Proof, entries: Entries) -> Ruleset:
    told = proof["ruleset"]
    rules = rulesets.parse(told["name"], told["toml"])
    require(rules.canonical == told["rules"], "ruleset", "the TOML does not say the rules beside it")
    hash_ = to_hex(rules.spec_hash)
    require(hash_ == told["hash"], "ruleset", f"the rules' hash is {hash_}, not {told['hash']!a:.80}")
    known = rulesets.by_hash(rules.spec_hash)
    require(known is None or set(rules.aliases) <= set(known.aliases), "ruleset", "the rules have a name not theirs")
    if told["activated"] is None:
        require(rules.spec_hash == rulesets.default().spec_hash, "ruleset", "without an activation the default holds")
    else:
        said = entries.event(told["activated"], "RulesetActivated")
        is_it = said["specHash"] in rules.hashes and said["fromEpoch"] <= proof["epoch"]
        require(is_it, f"position {told['activated']}", f"{to_hex(said['specHash'])} was activated there, not {hash_}")
    for name, epoch in (("opened", proof["epoch"]), ("closed", proof["epoch"] + 1)):
        said = entries.event(proof[name], "EpochOpened")
        require(said["epoch"] == epoch, f"position {proof[name]}", f"epoch {said['epoch']} opens there, not {epoch}")
    return rules


def _lines(proof: Proof, rules: Ruleset, entries: Entries) -> list[RewardLine]:
    """Make all lines of the earner again, and return them; they must be those of the file."""
    pools, tallies = {}, {}
    for pool in proof["pools"]:
        said = entries.event(pool["allocated"], "EpochAllocated")
        domain = said["domain"]
        told = (to_hex(domain), to_hex(said["asset"]), said["epoch"])
        wanted = (pool["domain"], proof["asset"]["address"], proof["epoch"])
        require(told == wanted, f"position {pool['allocated']}", f"{told} was allocated there, not {wanted}")
        require(domain not in pools, f"position {pool['allocated']}", "a pool is there twice")
        pools[domain], tallies[domain] = said, tally(proof, pool, rules.work, entries)
    given = dict[tuple[str, bytes], dict[bytes, int]]()
    weighing = Weighing(proof, rules, entries, tallies)
    for number, division in enumerate(proof["divisions"]):
        told_weights, made = stated(division), weighing.weights(division)
        where = f"division {number} ({division['by']})"
        if told_weights != made:
            key = min(key for key in {*told_weights, *made} if told_weights.get(key) != made.get(key))
            is_, should_be = told_weights.get(key, 0), made.get(key, 0)
            require(False, where, f"0x{key.hex()} has {is_}, the log gives {should_be}", stated=is_, expected=should_be)
        name = (division["by"], from_hex(division["subject"], 32))
        require(name not in given, where, "a division is there twice")
        given[name] = made
    foundation = None if proof["foundation"] is None else from_hex(proof["foundation"], 20)
    earner = from_hex(proof["earner"], 20)
    made_lines = [
        (domain, line)
        for domain, said in sorted(pools.items())
        for line in lines_of(rules.emission, said, given, foundation)
        if line.earner == earner and line.amount
    ]
    _compare_divided(proof, _compare(proof, made_lines), given, pools)
    return [line for _, line in made_lines]


def _compare(proof: Proof, made: list[tuple[bytes, RewardLine]]) -> list[RewardLine]:
    """Hold the file's lines against those that were made; return these in the file's order."""
    expected = {(to_hex(domain), line.role, line.kind, to_hex(line.subject)): line for domain, line in made}
    in_order = []
    for told in proof["lines"]:
        key = (told["domain"], told["role"], told["kind"], told["subject"])
        line = expected.pop(key, None)
        where = f"line {' '.join(map(str, key))[:200]}"
        require(line is not None, where, "the rules give the earner no such line, or it is there twice")
        assert line is not None
        path = "; ".join(f"{s.of} * {s.weight} / {s.total_weight} + {s.extra}" for s in line.path)
        require(told["path"] == path, where, f"the rules give {path}, the file says {told['path']!a:.300}")
        require(told["amount"] == str(line.amount), where, f"it is {line.amount}, the file says {told['amount']!a:.60}")
        in_order.append(line)
    require(not expected, "lines", f"{len(expected)} lines are missing: {sorted(expected)[:1]}")
    return in_order


def _compare_divided(proof: Proof, lines: list[RewardLine], given: Given, pools: Mapping[bytes, Any]) -> None:
    """Hold what the file's divisions say that they divide, and the ways through them, against its lines as made."""
    divisions = proof["divisions"]
    legs = {name: leg for leg, name in enumerate(PARTS)}
    for told, line in zip(proof["lines"], lines, strict=True):
        (first, leg), *way = told["way"]
        domain = from_hex(told["domain"], 32)
        where = f"way of line {told['role']} {told['kind']}"
        pool = sum(pools[domain][part] for part in legs)
        is_leg = (divisions[first]["by"], divisions[first]["of"]) == ("legs", str(pool))
        require(is_leg and divisions[first]["subject"] == told["domain"], where, "it does not begin with the legs")
        name = next(part for part, number in legs.items() if bytes([number]).hex() == leg)
        require(pools[domain][name] == line.path[0].of, where, f"the leg of {name} is not what the line divides")
        require(len(way) == len(line.path), where, f"{len(way)} divisions, where the line has {len(line.path)}")
        for (number, key), share in zip(way, line.path, strict=True):
            division = divisions[number]
            require(division["of"] == str(share.of), f"division {number}", f"it divides {share.of}")
            subject = from_hex(division["subject"], 32)
            require(subject in (domain, line.subject), f"division {number}", "it is of something else")
            weight = given[division["by"], subject].get(bytes.fromhex(key))
            require(weight == share.weight, where, f"the share of {key!a:.120} is not the line's")


def _claims(proof: Proof, entries: Entries, total: int) -> None:
    now, before = _claim(proof, "claim", entries), _claim(proof, "before", entries)
    if now is None:
        require(before is None, "before", "an earlier root without a later one")
        return
    earned = now.get(proof["epoch"])
    require(earned == total, "claim", f"{earned} is in the claim for epoch {proof['epoch']}, the lines are {total}")
    for epoch, amount in (before or {}).items():
        require(now.get(epoch, 0) >= amount, "before", f"epoch {epoch} had {amount}, and later {now.get(epoch, 0)}")


def _claim(proof: Proof, name: str, entries: Entries) -> dict[int, int] | None:
    claim = proof[name]
    if claim is None:
        return None
    said = entries.event(claim["submitted"], "RootSubmitted")
    asset = from_hex(proof["asset"]["address"], 20)
    told = (to_hex(said["root"]), said["epoch"], said["asset"], str(said["total"]))
    is_it = told == (claim["root"], claim["epoch"], asset, claim["total"])
    require(is_it, f"position {claim['submitted']}", f"the root submitted there is {told[0]} of epoch {told[1]}")
    earned = {epoch: int(amount) for epoch, amount in claim["earned"]}
    require(list(earned) == sorted(earned) and len(earned) == len(claim["earned"]), name, "epochs must ascend")
    require(max(earned) <= claim["epoch"], name, "a root holds no epoch behind its own")
    cumulative = sum(earned.values())
    require(str(cumulative) == claim["cumulative"], name, f"the epochs come to {cumulative}")
    leaf = Entitlement(from_hex(proof["earner"], 20), asset, cumulative)
    require(to_hex(leaf.leaf) == claim["leaf"], name, f"the leaf is {to_hex(leaf.leaf)}")
    way = [from_hex(each, 32) for each in claim["proof"]]
    require(verify(said["root"], leaf, way), name, "the proof does not lead to the root on the chain")
    return earned


def _stated(proof: Proof) -> Iterator[Finding]:
    """Say what the file says and no entry in it shows."""
    kinds = {each["by"] for each in proof["divisions"]}
    if "shares" in kinds:
        yield note(STAGE, "shares", "who held how many shares of a model is as the file says it: a bundle shows it")
    if "usage" in kinds:
        yield note(STAGE, "relevance", "what users said of models is as the file says it: a bundle shows it")
    if "foundation" in kinds:
        yield note(STAGE, "foundation", "who the foundation is says the manifest, which is not in the file")
    said = "entries that were left out cannot be seen in a file alone: that the weights are whole, a bundle shows"
    yield note(STAGE, "divisions", said)
    said = "that the contracts are the deployment's says the manifest: compare their addresses"
    yield note(STAGE, "contracts", said)
    if proof["claim"] is None:
        yield note(STAGE, "claim", "no root on the chain entitles to this amount yet")
    if proof["statement"] is not None:
        yield note(STAGE, "statement", "the statement adds up; that its lines are all there are, a bundle shows")

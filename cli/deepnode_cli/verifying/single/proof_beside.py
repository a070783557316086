"""A proof beside a bundle: its lines, and what it only states, against the replayed books."""

from collections.abc import Iterator
from pathlib import Path

from deepnode_cli.proving import proof_file
from deepnode_cli.verifying.finding import Finding
from deepnode_cli.verifying.single.beside import Beside
from deepnode_cli.verifying.single.broken import Broken, note, require
from deepnode_cli.verifying.single.proof import MALFORMED, STAGE, Proof
from deepnode_cli.verifying.single.proof_weights import stated
from deepnode_ledger.hexadecimal import from_hex, to_hex
from deepnode_projections.rules.pools import DOMAIN, BackerAt, Reward
from deepnode_projections.rules.powr import ModelRank
from deepnode_projections.rules.staking import stakes_at


def verify_beside(content: bytes, bundle: Path) -> Iterator[Finding]:
    """Replay a bundle, and hold the proof's lines, shares, stakes and relevances against its books."""
    try:
        proof = proof_file.read(content)
        with Beside.open(bundle) as beside:
            digest = to_hex(beside.manifest.digest)
            require(proof["manifest"] == digest, "manifest", f"the bundle's manifest is {digest}")
            foundation = beside.manifest.foundation
            is_it = proof["foundation"] == (None if foundation is None else to_hex(foundation))
            require(is_it, "foundation", f"the manifest names {None if foundation is None else to_hex(foundation)}")
            beside.up_to(min(proof["position"], beside.bundle.contents.entries))
            _compare_lines(proof, beside)
            compared = _compare_stated(proof, beside)
            at = beside.replay.position
        said = f"the replayed books at {at} have these lines and no other, and {compared} divisions as they are stated"
        yield note(STAGE, "replay", said, lines=len(proof["lines"]), divisions=compared)
    except Broken as broken:
        yield broken.finding(STAGE)
    except MALFORMED as failed:
        yield Broken("replay", f"the proof is malformed: {type(failed).__name__}: {failed}"[:400]).finding(STAGE)


def _compare_lines(proof: Proof, beside: Beside) -> None:
    earner, asset = from_hex(proof["earner"], 20), from_hex(proof["asset"]["address"], 20)
    books = {
        (to_hex(each.domain), each.role, each.kind, to_hex(each.subject)): (str(each.amount), each.path)
        for each in beside.replay.state.every(Reward, proof["epoch"])
        if (each.earner, each.asset) == (earner, asset)
    }
    told = {
        (each["domain"], each["role"], each["kind"], each["subject"]): (each["amount"], each["path"])
        for each in proof["lines"]
    }
    for key in sorted({*books, *told}):
        where = f"line {' '.join(key)}"
        require(key in books, where, "the replayed books have no such line")
        require(key in told, where, "the line is missing in the file")
        require(books[key] == told[key], where, f"the books have {books[key]}, the file {told[key]}")


def _compare_stated(proof: Proof, beside: Beside) -> int:
    """Compare what only the file says, and return how many divisions were compared."""
    state, epoch, compared = beside.replay.state, proof["epoch"], 0
    for division in proof["divisions"]:
        subject, where = from_hex(division["subject"], 32), f"division by {division['by']}"
        if division["by"] == "shares":
            books = {each.backer: each.shares for each in state.every(BackerAt, epoch, subject)}
            require(stated(division) == books, where, "the backers' shares are not those of the replayed books")
        elif division["by"] == "stake":
            type_ = division["target_type"]
            tail = subject if type_ == DOMAIN else b""
            books = {staker + tail: held for staker, held in stakes_at(state, type_, subject, epoch)}
            require(stated(division) == books, where, "the stakes are not those of the replayed books")
        elif division["by"] == "usage":
            for share in division["shares"]:
                rank = state.get(ModelRank, epoch, subject, bytes.fromhex(share["key"])[20:])
                found = None if rank is None else rank.relevance
                require(
                    found == share["relevance"], where, f"a relevance is {found}, the file says {share['relevance']}"
                )
        else:
            continue
        compared += 1
    return compared

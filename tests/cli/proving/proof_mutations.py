"""Changes of a proof that a forger could make. Each makes the digest again, but for those that say so."""

import base64
import copy
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from deepnode_cli.proving import proof_file
from deepnode_cli.proving.tasks_done import JUDGEMENTS
from deepnode_projections import rulesets

Proof = dict[str, Any]


def mutated(proof: Proof, kind: str, rng: Random) -> bytes | None:
    """Change a proof; None if it has nothing that can be changed so."""
    changed = copy.deepcopy(proof)
    if kind == "a byte of the file":
        raw = bytearray(proof_file.write(proof))
        raw[rng.randrange(len(raw) - 1)] ^= 1 << rng.randrange(7)
        return bytes(raw)
    if MUTATIONS[kind](changed, rng) is False:
        return None
    changed.pop("digest", None)
    return proof_file.write(changed)


def _plus_one(of: Any, name: Any) -> None:
    of[name] = str(int(of[name]) + 1)


def _flip(text: str, rng: Random) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return base64.b64encode(bytes(raw)).decode()


def _amount(proof: Proof, rng: Random) -> None:
    _plus_one(proof, "amount")


def _line(proof: Proof, rng: Random) -> None:
    _plus_one(rng.choice(proof["lines"]), "amount")


def _path(proof: Proof, rng: Random) -> None:
    line = rng.choice(proof["lines"])
    place = rng.choice([n for n, digit in enumerate(line["path"]) if digit.isdigit()])
    line["path"] = f"{line['path'][:place]}{(int(line['path'][place]) + 1) % 10}{line['path'][place + 1 :]}"


def _line_doubled(proof: Proof, rng: Random) -> None:
    proof["lines"].append(copy.deepcopy(proof["lines"][0]))


def _line_dropped(proof: Proof, rng: Random) -> bool:
    proof["lines"].pop(rng.randrange(len(proof["lines"])))
    return True


def _other_role(proof: Proof, rng: Random) -> None:
    line = rng.choice(proof["lines"])
    line["role"], line["kind"] = ("staker", "stake") if line["role"] != "staker" else ("miner", "work")


def _weight(proof: Proof, rng: Random) -> None:
    division = rng.choice([each for each in proof["divisions"] if each["by"] != "shares"])
    _plus_one(rng.choice(division["shares"]), "weight")


def _weights_swapped(proof: Proof, rng: Random) -> bool:
    many = [
        each for each in proof["divisions"] if len({s["weight"] for s in each["shares"]}) > 1 and each["by"] != "shares"
    ]
    shares = rng.choice(many)["shares"]
    one = shares[0]
    other = next(each for each in shares if each["weight"] != one["weight"])
    one["weight"], other["weight"] = other["weight"], one["weight"]
    return True


def _shares_out_of_order(proof: Proof, rng: Random) -> None:
    rng.choice([each for each in proof["divisions"] if len(each["shares"]) > 1])["shares"].reverse()


def _divided(proof: Proof, rng: Random) -> None:
    way = rng.choice(rng.choice(proof["lines"])["way"])
    _plus_one(proof["divisions"][way[0]], "of")


def _other_subject(proof: Proof, rng: Random) -> None:
    way = rng.choice(rng.choice(proof["lines"])["way"])
    proof["divisions"][way[0]]["subject"] = "0x" + rng.randbytes(32).hex()


def _entry(proof: Proof, rng: Random) -> None:
    event = rng.choice(proof["events"])
    event["entry"] = _flip(event["entry"], rng)


def _entry_moved(proof: Proof, rng: Random) -> None:
    rng.choice(proof["events"])["position"] += 1


def _entry_dropped(proof: Proof, rng: Random) -> None:
    proof["events"].pop(rng.randrange(len(proof["events"])))


def _entries_swapped(proof: Proof, rng: Random) -> None:
    one, other = rng.sample(proof["events"], 2)
    one["entry"], other["entry"] = other["entry"], one["entry"]


def _way_of_entry(proof: Proof, rng: Random) -> None:
    path = rng.choice(proof["events"])["path"]
    place = rng.randrange(len(path))
    path[place] = (path[place] + 1) % len(proof["hashes"])


def _hash(proof: Proof, rng: Random) -> None:
    place = rng.randrange(len(proof["hashes"]))
    proof["hashes"][place] = _flip(proof["hashes"][place], rng)


def _signature(proof: Proof, rng: Random) -> None:
    text, _, signature = proof["checkpoint"].rstrip("\n").rpartition(" ")
    proof["checkpoint"] = f"{text} {_flip(signature, rng)}\n"


def _tree(proof: Proof, rng: Random) -> None:
    origin, size, *rest = proof["checkpoint"].split("\n")
    proof["checkpoint"] = "\n".join([origin, str(int(size) + 1), *rest])


def _other_rules(proof: Proof, rng: Random) -> bool:
    from deepnode_cli.proving.making import text_of

    other = rng.choice([each for each in rulesets.shipped().values() if each.name != proof["ruleset"]["name"]])
    told = {"name": other.name, "hash": f"0x{other.spec_hash.hex()}", "rules": other.canonical, "toml": text_of(other)}
    proof["ruleset"].update(told)
    return True


def _altered_rules(proof: Proof, rng: Random) -> None:
    proof["ruleset"]["rules"] = proof["ruleset"]["rules"].replace('"quorum":2', '"quorum":1')


def _altered_toml(proof: Proof, rng: Random) -> None:
    proof["ruleset"]["toml"] = proof["ruleset"]["toml"].replace("quorum = 2", "quorum = 1")


def _rules_hash(proof: Proof, rng: Random) -> None:
    proof["ruleset"]["hash"] = "0x" + rng.randbytes(32).hex()


def _earner(proof: Proof, rng: Random) -> None:
    proof["earner"] = "0x" + rng.randbytes(20).hex()


def _epoch(proof: Proof, rng: Random) -> None:
    proof["epoch"] += 1


def _asset(proof: Proof, rng: Random) -> None:
    proof["asset"]["address"] = "0x" + rng.randbytes(20).hex()


def _contracts(proof: Proof, rng: Random) -> None:
    each = next(each for each in proof["contracts"] if each["signature"].startswith("EpochAllocated"))
    each["addresses"] = ["0x" + rng.randbytes(20).hex()]


def _task_dropped(proof: Proof, rng: Random) -> bool:
    pools = [each[name] for each in proof["pools"] for name in ("credited", "judged") if each[name]]
    if not pools:
        return False
    rng.choice(pools).pop()
    return True


def _task_doubled(proof: Proof, rng: Random) -> bool:
    pools = [each[name] for each in proof["pools"] for name in ("credited", "judged") if each[name]]
    if not pools:
        return False
    pool = rng.choice(pools)
    pool.append(copy.deepcopy(rng.choice(pool)))
    return True


def _judgement_dropped(proof: Proof, rng: Random) -> bool:
    judged = [each for pool in proof["pools"] for each in pool["judged"]]
    if not judged:
        return False
    # The first is not in line everywhere; of all of a task, some are.
    del rng.choice(judged)[JUDGEMENTS][:]
    return True


def _cumulative(proof: Proof, rng: Random) -> bool:
    if proof["claim"] is None:
        return False
    _plus_one(proof["claim"], "cumulative")
    return True


def _earned(proof: Proof, rng: Random) -> bool:
    if proof["claim"] is None:
        return False
    each = rng.choice(proof["claim"]["earned"])
    each[1] = str(int(each[1]) + 1)
    return True


def _claim_hash(proof: Proof, rng: Random) -> bool:
    if proof["claim"] is None or not proof["claim"]["proof"]:
        return False
    place = rng.randrange(len(proof["claim"]["proof"]))
    proof["claim"]["proof"][place] = "0x" + rng.randbytes(32).hex()
    return True


def _statement_of(name: str) -> Callable[[Proof, Random], bool]:
    def change(proof: Proof, rng: Random) -> bool:
        if proof["statement"] is None or not proof["statement"]["lines"]:
            return False
        _plus_one(rng.choice(proof["statement"]["lines"]), name)
        return True

    return change


def _statement_line_dropped(proof: Proof, rng: Random) -> bool:
    if proof["statement"] is None or not proof["statement"]["lines"]:
        return False
    lines = proof["statement"]["lines"]
    lines.pop(rng.randrange(len(lines)))
    return True


def _closing(proof: Proof, rng: Random) -> bool:
    if proof["statement"] is None or not proof["statement"]["balances"]:
        return False
    _plus_one(rng.choice(proof["statement"]["balances"]), "closing")
    return True


def _nothing(proof: Proof, rng: Random) -> None:
    raise AssertionError("a byte of the file is changed elsewhere")


MUTATIONS: Mapping[str, Callable[[Proof, Random], bool | None]] = {
    "a byte of the file": _nothing,
    "the amount": _amount,
    "a line's amount": _line,
    "a digit of a path": _path,
    "a line doubled": _line_doubled,
    "a line dropped": _line_dropped,
    "another role": _other_role,
    "a weight": _weight,
    "two weights swapped": _weights_swapped,
    "shares in another order": _shares_out_of_order,
    "what is divided": _divided,
    "of what it is divided": _other_subject,
    "a bit of an entry": _entry,
    "an entry's position": _entry_moved,
    "an entry dropped": _entry_dropped,
    "two entries swapped": _entries_swapped,
    "an entry's way": _way_of_entry,
    "a hash": _hash,
    "the signature": _signature,
    "the tree's size": _tree,
    "another ruleset": _other_rules,
    "a rule": _altered_rules,
    "a rule of the TOML": _altered_toml,
    "the ruleset's hash": _rules_hash,
    "another earner": _earner,
    "another epoch": _epoch,
    "another asset": _asset,
    "another contract": _contracts,
    "a task dropped": _task_dropped,
    "a task doubled": _task_doubled,
    "judgements dropped": _judgement_dropped,
    "the cumulative amount": _cumulative,
    "what was earned before": _earned,
    "a hash of the claim": _claim_hash,
    "a statement's amount": _statement_of("amount"),
    "a statement's balance": _statement_of("balance"),
    "a statement's line dropped": _statement_line_dropped,
    "a closing balance": _closing,
}

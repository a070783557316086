"""The weights of a proof's divisions, made again from what its entries say."""

from collections.abc import Mapping
from typing import Any

from deepnode_cli.verifying.single.broken import require
from deepnode_cli.verifying.single.proof_entries import Entries
from deepnode_cli.verifying.single.proof_tasks import Tally
from deepnode_ledger.hexadecimal import from_hex
from deepnode_projections.maths.rewards import EARNER, REST
from deepnode_projections.rules.pools import DOMAIN
from deepnode_projections.rulesets.ruleset import LEG_NAMES, PPM, Ruleset

Weights = dict[bytes, int]
"""Weights by the keys that equal remainders go by."""


class Weighing:
    """Makes weights again. ``tallies`` are of the pools' domains."""

    def __init__(
        self, proof: Mapping[str, Any], rules: Ruleset, entries: Entries, tallies: Mapping[bytes, Tally]
    ) -> None:
        self._proof, self._rules, self._entries, self._tallies = proof, rules, entries, tallies

    def weights(self, division: Mapping[str, Any]) -> Weights:
        """Return the weights of a division, without those of nothing.

        Raises:
            Broken: an entry is missing, or is of something else. KeyError, TypeError, ValueError: a malformed file.
        """
        made: Mapping[bytes, int]
        subject, by = from_hex(division["subject"], 32), division["by"]
        match by:
            case "legs":
                made = self._legs(division, subject)
            case "work" | "judgements":
                made = self._nodes(division, subject)
            case "usage":
                made = self._models(division, subject)
            case "stake":
                made = self._stakes(division, subject)
            case "commission":
                made = self._commission(division, subject)
            case "royalty":
                made = self._royalty(division, subject)
            case "owner":
                said = self._entries.event(division["set"], "DomainCreated", "DomainOwnerChanged")
                self._of(division, said["domain"], subject)
                made = {said["owner" if said[""] == "DomainCreated" else "new_"]: 1}
            case "foundation":
                made = {from_hex(self._proof["foundation"], 20): 1}
            case _:
                require(by == "shares", f"division by {by!a:.40}", "there is no such division")
                made = stated(division)
        return {key: weight for key, weight in made.items() if weight}

    def _of(self, division: Mapping[str, Any], found: bytes, subject: bytes) -> None:
        where = f"position {division['set']}"
        require(found == subject, where, f"the entry is not of {division['subject']}, which is divided")

    def _legs(self, division: Mapping[str, Any], domain: bytes) -> Weights:
        said = self._entries.event(division["set"], "EmissionWeightsSet")
        self._of(division, said["domain"], domain)
        in_time = said["fromEpoch"] <= self._proof["epoch"]
        require(in_time, f"position {division['set']}", f"the weights hold from epoch {said['fromEpoch']} on")
        fixed = self._rules.emission.fixed_weights
        legs = [getattr(fixed, leg) for leg in LEG_NAMES] if fixed is not None else list(said["new_"])
        return {bytes([leg]): weight for leg, weight in enumerate([*legs, self._rules.emission.foundation_ppm])}

    def _nodes(self, division: Mapping[str, Any], domain: bytes) -> Weights:
        tally = self._tallies[domain]
        sums, made = (tally.work if division["by"] == "work" else tally.judgements), {}
        for share in division["shares"]:
            said = self._entries.event(share["registered"], "Registered")
            require(said["domain"] == domain, f"position {share['registered']}", "the node is of another domain")
            made[said["operator"] + said["node"]] = sums[said["node"]]
        return made

    def _models(self, division: Mapping[str, Any], domain: bytes) -> Weights:
        tally, made = self._tallies[domain], {}
        used = {"weighted": tally.weighted, "tasks": tally.tasks, "revenue": tally.revenue}
        most = max(tally.weighted.values(), default=0)
        for share in division["shares"]:
            where, relevance = f"position {share['registered']}", share["relevance"]
            said = self._entries.event(share["registered"], "ModelRegistered")
            require(said["domain"] == domain, where, "the model is of another domain")
            # Half of it is the use beside that of the most used model, half what users said: from nothing to all.
            use = tally.weighted[said["model"]] * PPM // most if most else 0
            possible = type(relevance) is int and (use // 2 <= relevance <= (use + PPM) // 2 or relevance == PPM)
            require(possible, where, f"a relevance of {relevance!a:.40} cannot come of a use of {use} ppm")
            made[said["creator"] + said["model"]] = used[self._rules.emission.model_use][said["model"]] * relevance
        return made

    def _stakes(self, division: Mapping[str, Any], target: bytes) -> Weights:
        made, type_, before = Weights(), division["target_type"], 0
        for position in division["events"]:
            where = f"position {position}"
            said = self._entries.event(position, "Staked", "UnstakeRequested", "Redelegated")
            require(before < position < self._proof["opened"], where, "stakes must be from before the epoch, in order")
            before = position
            moves = [("target", "targetType", 1 if said[""] == "Staked" else -1)]
            if said[""] == "Redelegated":
                moves = [("from", "fromType", -1), ("to", "toType", 1)]
            for of, its_type, sign in moves:
                if (said[of], said[its_type]) == (target, type_):
                    key = said["staker"] + (target if type_ == DOMAIN else b"")
                    made[key] = made.get(key, 0) + sign * said["amount"]
        return made

    def _commission(self, division: Mapping[str, Any], node: bytes) -> Weights:
        if division["set"] is None:
            return {REST: PPM}
        said = self._entries.event(division["set"], "CommissionSet")
        self._of(division, said["target"], node)
        require(said["fromEpoch"] <= self._proof["epoch"], f"position {division['set']}", "the commission came later")
        return {EARNER: said["new_"], REST: PPM - said["new_"]}

    def _royalty(self, division: Mapping[str, Any], model: bytes) -> Weights:
        said = self._entries.event(division["set"], "ModelRegistered")
        self._of(division, said["model"], model)
        return {EARNER: said["b"], REST: said["a"]} if said["a"] + said["b"] else {EARNER: 1}


def stated(division: Mapping[str, Any]) -> Weights:
    """Return the weights as a division states them.

    Raises:
        Broken: they are not in the order of their keys, or one is not above 0.
    """
    made, last, where = Weights(), b"", f"division by {division['by']}"
    for share in division["shares"]:
        key, weight = bytes.fromhex(share["key"]), int(share["weight"])
        require(key > last, where, "shares must be in the order of their keys, each once")
        require(weight > 0 and str(weight) == share["weight"], where, f"a weight of {share['weight']!a:.60}")
        made[key], last = weight, key
    return made

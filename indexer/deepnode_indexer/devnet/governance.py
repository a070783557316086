"""Governance: stakers propose parameters and vote; a proposal is passed, fails, or forfeits its deposit."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from deepnode_indexer.devnet import cast_of_accounts as cast
from deepnode_indexer.devnet.epochs import EMISSION_PER_EPOCH
from deepnode_indexer.devnet.history import History
from deepnode_indexer.devnet.mempool import Mempool
from deepnode_indexer.devnet.population import Population, Turn
from deepnode_indexer.devnet.workbook import FULL_CREDIT, SPLIT_CREDIT

AGAINST, FOR, ABSTAIN = range(3)
PASSES, FAILS, FORFEITS = range(3)
EMISSION_FIRST = 1_000 * 10**18
_PROPOSALS_IN_THOUSAND = 40
_PROPOSALS_AT_ONCE = 3
_WEIGHTS_IN_THOUSAND = 15
_LOST_STEPS = 45
_SECOND_RULESET_EPOCH = 6

WEIGHTS = (
    (410_003, 200_001, 179_999, 50_000, 149_997),
    (333_333, 222_222, 234_445, 0, 200_000),
    (500_000, 100_000, 190_000, 100_000, 100_000),
)
"""Emission weights of domains: miners, stakers, validators, owner, models, in ppm, without the foundation's 10 000."""

_REGISTRATION_FEE = b"registration.fee".ljust(32, b"\0")
_REGISTRATION_BURN = b"registration.burn".ljust(32, b"\0")
_COLLATERAL_MINIMUM = b"collateral.minimum".ljust(32, b"\0")

_PARAMETERS = (
    (EMISSION_PER_EPOCH, 700 * 10**18, 1_500 * 10**18),
    (_REGISTRATION_FEE, 20 * 10**18, 30 * 10**18),
    (_REGISTRATION_BURN, 100_000, 300_000),
    (_COLLATERAL_MINIMUM, 10**20, 10**21),
    (b"trust.window".ljust(32, b"\0"), 1, 30),
)
"""Keys that are proposed, with the least and the most of their values; the mean is set at the founding.

The keeper of epochs obeys the first one, the contract of nodes the two behind it; of the others nobody takes notice.
"""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal, what the voters are going to make of it, and the step at which it was made."""

    id: bytes
    fate: int
    made: int


class Governance:
    """All proposals that are not tallied yet, and what governors do by hand: domains' weights, and rulesets."""

    def __init__(self, population: Population, mempool: Mempool, history: History) -> None:
        self._population = population
        self._rng = Random(f"{population.seed} governance")  # noqa: S311 - nothing here is secret
        self._mempool = mempool
        self._history = history
        self._proposals: list[Proposal] = []
        self._made = 0

    def founding(self) -> Turn:
        """The first parameters, a governor's by hand, and the first ruleset: nodes share the credit of a task."""
        turn = Turn()
        nobody = bytes(32)
        turn.call(cast.DEPLOYER, "Parameters", "set", nobody, EMISSION_PER_EPOCH, EMISSION_FIRST, 0, nobody)
        for key, least, most in _PARAMETERS[1:]:
            turn.call(cast.DEPLOYER, "Parameters", "set", nobody, key, (least + most) // 2, 0, nobody)
        turn.call(cast.DEPLOYER, "Parameters", "activateRuleset", 1, SPLIT_CREDIT, 1)
        return turn

    def take_turn(self, turn: Turn, step: int) -> None:
        """Propose now and then, vote, tally; change a domain's weights, and once the ruleset."""
        made = {event.args["proposal"]: event.args["votingEnds"] for event in self._history.of("ProposalCreated")}
        tallied = {event.args["proposal"] for event in self._history.of("ProposalTallied")}
        for proposal in list(self._proposals):
            if proposal.id in made and proposal.id not in tallied:
                self._bring_on(turn, proposal, made[proposal.id])
            elif step - proposal.made > _LOST_STEPS:
                # Tallied, and no reorg can undo that any more; or lost in one.
                self._proposals.remove(proposal)
        is_time = self._made == 0 or self._rng.randrange(1_000) < _PROPOSALS_IN_THOUSAND
        if is_time and sum(proposal.id not in tallied for proposal in self._proposals) < _PROPOSALS_AT_ONCE:
            self._propose(turn, step)
        self._set_fee(turn)
        if self._rng.randrange(1_000) < _WEIGHTS_IN_THOUSAND:
            # Far enough ahead: what is set for an epoch that has begun would hold from the next one only.
            arguments = (self._rng.choice(self._population.domains), self._rng.choice(WEIGHTS), self._history.epoch + 2)
            turn.call(cast.DEPLOYER, "Domains", "setEmissionWeights", *arguments)
        activated = {event.args["version"] for event in self._history.of("RulesetActivated")}
        if self._history.epoch == _SECOND_RULESET_EPOCH - 2 and activated == {1}:
            turn.call(cast.DEPLOYER, "Parameters", "activateRuleset", 2, FULL_CREDIT, _SECOND_RULESET_EPOCH)

    def _propose(self, turn: Turn, step: int) -> None:
        rng = self._rng
        key, least, most = rng.choice(_PARAMETERS) if self._made else _PARAMETERS[0]
        # Some are for one domain only.
        is_local = key == _COLLATERAL_MINIMUM and rng.randrange(3) > 0
        scope = rng.choice(self._population.domains) if is_local else bytes(32)
        value, effective_at = rng.randrange(least, most), self._history.epoch + 2
        proposer = rng.choice(self._population.cast.investors)
        salt = keccak(text=f"salt {self._made}")
        types = ["address", "bytes32", "bytes32", "uint256", "uint64", "bytes32"]
        account = self._population.accounts[proposer]
        identity = keccak(encode(types, [account, scope, key, value, effective_at, salt]))
        turn.call(proposer, "Governance", "propose", scope, key, value, effective_at, salt)
        self._proposals.append(Proposal(identity, self._made % 3, step))
        self._made += 1

    def _set_fee(self, turn: Turn) -> None:
        """Let registrations cost from an epoch's first block on what the parameters say for it."""
        if any(call.function == "openEpoch" for call in turn.calls):
            epoch = self._history.epoch + 1
            fee = self._history.parameter(_REGISTRATION_FEE, epoch)
            burn = self._history.parameter(_REGISTRATION_BURN, epoch)
            if (fee, burn) != (self._mempool.read("Nodes", "fee"), self._mempool.read("Nodes", "burnPpm")):
                treasury = self._population.accounts[cast.TREASURY]
                turn.call(cast.DEPLOYER, "Nodes", "setFee", treasury, fee, burn)

    def _bring_on(self, turn: Turn, proposal: Proposal, voting_ends: int) -> None:
        if self._mempool.next_time >= voting_ends:
            # Anybody may ask for it.
            turn.call(cast.STRANGER, "Governance", "tally", proposal.id)
        elif self._rng.randrange(100) < 60:
            self._vote(turn, proposal)

    def _vote(self, turn: Turn, proposal: Proposal) -> None:
        voter = self._rng.choice(self._population.cast.investors)
        account = bytes.fromhex(self._population.accounts[voter][2:])
        if any(self._history.of("VoteCast", proposal=proposal.id, voter=account)):
            return
        agrees = self._rng.randrange(100) < 80
        choice = ABSTAIN
        if proposal.fate != FORFEITS and self._rng.randrange(10) > 0:
            choice = FOR if agrees == (proposal.fate == PASSES) else AGAINST
        turn.call(voter, "Governance", "vote", proposal.id, choice)

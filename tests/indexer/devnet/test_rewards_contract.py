"""Rewards: a proven claim pays what is open and no more, by the root in force; roots are funded before they count."""

from collections.abc import Iterator, Sequence

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import role
from deepnode_ledger.vocabulary import KINDS
from tests.indexer.devnet.lone_contracts import LoneContracts, Refusal, Said, declared_events, word

ADMIN, SUBMITTER, GUARDIAN, STRANGER = range(4)
EARNERS = range(4, 13)
RULESET, REASON = word("ruleset"), word("wrong ruleset")
URI = "ipfs://tree"


class StandardMerkleTree:
    """OpenZeppelin's tree by hand: leaves sorted and laid from the end of an array, each node the hash of its two
    children at twice its place, the smaller child first."""

    def __init__(self, asset: str, cumulative: dict[str, int]) -> None:
        self._leaves = {
            earner: keccak(keccak(encode(["address", "address", "uint256"], [earner, asset, amount])))
            for earner, amount in cumulative.items()
        }
        leaves = sorted(self._leaves.values())
        self._nodes = [b""] * (len(leaves) - 1) + leaves[::-1]
        for place in reversed(range(len(leaves) - 1)):
            self._nodes[place] = keccak(b"".join(sorted(self._nodes[2 * place + 1 : 2 * place + 3])))
        self.root = self._nodes[0]

    def proof(self, earner: str) -> list[bytes]:
        """The siblings on the way from an earner's leaf to the root."""
        place, proof = self._nodes.index(self._leaves[earner]), []
        while place > 0:
            proof.append(self._nodes[place + 1 if place % 2 else place - 1])
            place = (place - 1) // 2
        return proof


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """A bare node, on which each test has contracts of its own."""
    with Anvil.start() as started:
        yield started


@pytest.fixture
def chain(node: Anvil) -> LoneContracts:
    """Rewards that holds 10 000 units of DN, and no root."""
    contracts = LoneContracts(node)
    admin = contracts.accounts[ADMIN]
    for name in ("DNToken", "USDCStandIn", "Rewards"):
        contracts.create(name, admin)
    contracts.grant("DNToken", "MINTER_ROLE", admin)
    contracts.grant("Rewards", "ROOT_ROLE", contracts.accounts[SUBMITTER])
    contracts.grant("Rewards", "GUARDIAN_ROLE", contracts.accounts[GUARDIAN])
    contracts.send(ADMIN, "DNToken", "mint", contracts.addresses["Rewards"], 10_000)
    return contracts


def tree_of(chain: LoneContracts, amounts: Sequence[int]) -> StandardMerkleTree:
    """The tree in which the first earners have earned these amounts of DN so far."""
    earned: dict[str, int] = {chain.accounts[place]: amount for place, amount in zip(EARNERS, amounts, strict=False)}
    return StandardMerkleTree(chain.addresses["DNToken"], earned)


def submission(
    chain: LoneContracts, epoch: int, tree: StandardMerkleTree, total: int, activates_at: int = 0
) -> tuple[object, ...]:
    """The arguments of a root's submission."""
    return (epoch, chain.addresses["DNToken"], tree.root, total, 40 + epoch, URI, RULESET, activates_at)


def submit(
    chain: LoneContracts, epoch: int, amounts: Sequence[int], activates_at: int = 0, total: int | None = None
) -> StandardMerkleTree:
    """Submit the tree of these amounts, whose total is their sum unless it is said otherwise."""
    tree = tree_of(chain, amounts)
    total = sum(amounts) if total is None else total
    said = chain.send(SUBMITTER, "Rewards", "submitRoot", *submission(chain, epoch, tree, total, activates_at))
    told = {"epoch": epoch, "root": tree.root, "asset": chain.address("DNToken"), "total": total}
    told |= {"endBlock": 40 + epoch, "uri": URI, "ruleset": RULESET, "activatesAt": activates_at}
    assert said == [Said("Rewards", "RootSubmitted", told)]
    return tree


def claim(
    chain: LoneContracts, epoch: int, tree: StandardMerkleTree, place: int, cumulative: int
) -> tuple[object, ...]:
    """The arguments of a claim of the earner at that place."""
    earner = chain.accounts[place]
    return (epoch, earner, chain.addresses["DNToken"], cumulative, tree.proof(earner))


def paid(chain: LoneContracts, epoch: int, place: int, amount: int) -> list[Said]:
    """What is said when an earner's claim is paid."""
    earner, asset = chain.account(place), chain.address("DNToken")
    claimed = {"epoch": epoch, "earner": earner, "asset": asset, "to": earner, "amount": amount}
    transfer = {"from": chain.address("Rewards"), "to": earner, "value": amount}
    return [Said("Rewards", "Claimed", claimed), Said("DNToken", "Transfer", transfer)]


def test_the_rewards_contracts_events_are_the_vocabularys() -> None:
    """Compares the artifact's ABI with the vocabulary: names, types, order and what is indexed."""
    assert declared_events("Rewards") == set(KINDS["Rewards"])


@pytest.mark.parametrize("size", range(1, 10))
def test_whoever_is_in_the_tree_is_paid_to_the_unit(chain: LoneContracts, size: int) -> None:
    """Claims, as a stranger, for every earner of trees of one to nine leaves, and reads all balances."""
    amounts = [100 + place for place in range(size)]
    tree, asset = submit(chain, 1, amounts), chain.addresses["DNToken"]
    for place, amount in zip(EARNERS, amounts, strict=False):
        assert chain.send(STRANGER, "Rewards", "claim", *claim(chain, 1, tree, place, amount)) == paid(
            chain, 1, place, amount
        )
        assert chain.balance("DNToken", chain.accounts[place]) == amount
        assert chain.read("Rewards", "claimedOf", chain.accounts[place], asset) == amount
    assert chain.read("Rewards", "claimedTotalOf", asset) == sum(amounts)
    assert chain.balance("DNToken", "Rewards") == 10_000 - sum(amounts)


def test_a_claim_pays_what_was_earned_since_the_last_one(chain: LoneContracts) -> None:
    """Claims at the first root and at the third; an earner who waited is paid all three epochs at once."""
    early, late = EARNERS[0], EARNERS[1]
    first = submit(chain, 1, [100, 50])
    chain.send(early, "Rewards", "claim", *claim(chain, 1, first, early, 100))
    submit(chain, 2, [130, 60])
    third = submit(chain, 3, [180, 90])
    assert chain.send(early, "Rewards", "claim", *claim(chain, 3, third, early, 180)) == paid(chain, 3, early, 80)
    assert chain.send(late, "Rewards", "claim", *claim(chain, 3, third, late, 90)) == paid(chain, 3, late, 90)
    again = chain.refusal(late, "Rewards", "claim", *claim(chain, 3, third, late, 90))
    asset = chain.addresses["DNToken"].lower()
    assert again == Refusal("NothingToClaim", (chain.accounts[late].lower(), asset, 90, 90))


def test_a_proof_is_good_for_its_own_leaf_alone(chain: LoneContracts) -> None:
    """Tries a proof with another amount, another earner, another asset, a sibling missing, and none at all."""
    tree, dn = submit(chain, 1, [100, 50, 20]), chain.addresses["DNToken"]
    submit_usdc = (1, chain.addresses["USDCStandIn"], tree.root, 0, 41, URI, RULESET, 0)
    chain.send(SUBMITTER, "Rewards", "submitRoot", *submit_usdc)
    one, other = chain.accounts[EARNERS[0]], chain.accounts[EARNERS[1]]
    proof = tree.proof(one)
    for earner, asset, cumulative, tried in (
        (one, dn, 101, proof),
        (other, dn, 100, proof),
        (one, chain.addresses["USDCStandIn"], 100, proof),
        (one, dn, 100, proof[:-1]),
        (one, dn, 100, [*proof, bytes(32)]),
        (one, dn, 100, []),
    ):
        refused = chain.refusal(STRANGER, "Rewards", "claim", 1, earner, asset, cumulative, tried)
        assert refused == Refusal("WrongProof", (earner.lower(), asset.lower(), cumulative))


def test_the_newest_root_that_is_activated_is_in_force(chain: LoneContracts) -> None:
    """Submits a root for later: until then the one before counts, from that second on the new one alone."""
    place, asset = EARNERS[0], chain.addresses["DNToken"]
    nothing = chain.refusal(STRANGER, "Rewards", "inForce", asset)
    assert nothing == Refusal("NoRootInForce", (asset.lower(),))
    first = submit(chain, 1, [100])
    time = chain.now() + 100
    second = submit(chain, 2, [150], activates_at=time)
    assert chain.read("Rewards", "inForce", asset) == (first.root, 100, 1, 0, False)
    assert chain.read("Rewards", "newestOf", asset) == (second.root, 150, 2, time, False)
    chain.next_block_at(time - 1)
    refused = chain.refusal(STRANGER, "Rewards", "claim", *claim(chain, 2, second, place, 150))
    assert refused == Refusal("NotInForce", (2, 1))
    chain.next_block_at(time)
    said = chain.send(STRANGER, "Rewards", "claim", *claim(chain, 2, second, place, 150))
    assert said == paid(chain, 2, place, 150)
    refused = chain.refusal(STRANGER, "Rewards", "claim", *claim(chain, 1, first, place, 100))
    assert refused == Refusal("NotInForce", (1, 2))


@pytest.mark.parametrize("activates_in", [-100, 100])
def test_a_disabled_root_gives_its_place_back_to_the_one_before(chain: LoneContracts, activates_in: int) -> None:
    """Disables a root in force, or before it is; claims go by the older one, and the epoch is submitted again."""
    place, asset = EARNERS[0], chain.addresses["DNToken"]
    first = submit(chain, 1, [100])
    submit(chain, 2, [900], activates_at=chain.now() + activates_in)
    said = chain.send(GUARDIAN, "Rewards", "disableRoot", 2, asset, REASON)
    told = {"epoch": 2, "asset": chain.address("DNToken"), "reason": REASON}
    assert said == [Said("Rewards", "RootDisabled", told)]
    assert chain.read("Rewards", "inForce", asset) == (first.root, 100, 1, 0, False)
    refused = chain.refusal(GUARDIAN, "Rewards", "disableRoot", 2, asset, REASON)
    assert refused == Refusal("UnknownRoot", (2, asset.lower()))
    corrected = submit(chain, 2, [120])
    chain.send(STRANGER, "Rewards", "claim", *claim(chain, 2, corrected, place, 120))
    assert chain.balance("DNToken", chain.accounts[place]) == 120


def test_any_root_can_be_disabled_also_the_only_one(chain: LoneContracts) -> None:
    """Disables the middle root of three, then the others; a disabled epoch behind a standing one stays without root."""
    asset = chain.addresses["DNToken"]
    trees = [submit(chain, epoch, [100 * epoch]) for epoch in (1, 2, 3)]
    chain.send(GUARDIAN, "Rewards", "disableRoot", 2, asset, REASON)
    assert chain.read("Rewards", "inForce", asset)[0] == trees[2].root
    refused = chain.refusal(SUBMITTER, "Rewards", "submitRoot", *submission(chain, 2, trees[1], 300))
    assert refused == Refusal("EpochNotNewer", (2, 3))
    chain.send(GUARDIAN, "Rewards", "disableRoot", 3, asset, REASON)
    assert chain.read("Rewards", "inForce", asset)[0] == trees[0].root
    chain.send(GUARDIAN, "Rewards", "disableRoot", 1, asset, REASON)
    assert chain.refusal(STRANGER, "Rewards", "inForce", asset).error == "NoRootInForce"
    assert chain.read("Rewards", "newestOf", asset) == (bytes(32), 0, 0, 0, False)


def test_roots_come_in_the_order_of_their_epochs_and_totals(chain: LoneContracts) -> None:
    """Submits an epoch again, an earlier one, no epoch, and a total that is less than the one before."""
    asset = chain.addresses["DNToken"].lower()
    tree = submit(chain, 2, [100])
    for epoch in (0, 1, 2):
        refused = chain.refusal(SUBMITTER, "Rewards", "submitRoot", *submission(chain, epoch, tree, 100))
        assert refused == Refusal("EpochNotNewer", (epoch, 2))
    refused = chain.refusal(SUBMITTER, "Rewards", "submitRoot", *submission(chain, 3, tree, 99))
    assert refused == Refusal("TotalFell", (asset, 99, 100))
    submit(chain, 4, [100])


def test_what_a_root_entitles_to_is_there_when_it_is_submitted(chain: LoneContracts) -> None:
    """Submits one unit more than there is, before and after a claim took some of it out."""
    place, asset = EARNERS[0], chain.addresses["DNToken"].lower()
    tree = tree_of(chain, [10_001])
    refused = chain.refusal(SUBMITTER, "Rewards", "submitRoot", *submission(chain, 1, tree, 10_001))
    assert refused == Refusal("NotFunded", (asset, 10_001, 10_000))
    first = submit(chain, 1, [4_000, 6_000])
    chain.send(STRANGER, "Rewards", "claim", *claim(chain, 1, first, place, 4_000))
    refused = chain.refusal(SUBMITTER, "Rewards", "submitRoot", *submission(chain, 2, tree, 10_001))
    assert refused == Refusal("NotFunded", (asset, 6_001, 6_000))
    chain.send(ADMIN, "DNToken", "mint", chain.addresses["Rewards"], 1)
    second = submit(chain, 2, [4_001, 6_000])
    for earner, cumulative in zip(EARNERS, (4_001, 6_000), strict=False):
        chain.send(STRANGER, "Rewards", "claim", *claim(chain, 2, second, earner, cumulative))
    assert chain.balance("DNToken", "Rewards") == 0


def test_a_tree_pays_no_more_than_the_total_that_was_submitted_with_it(chain: LoneContracts) -> None:
    """Submits a tree whose leaves sum to more than its total; the claim that would pass it is refused."""
    tree = submit(chain, 1, [100, 50], total=149)
    chain.send(STRANGER, "Rewards", "claim", *claim(chain, 1, tree, EARNERS[0], 100))
    refused = chain.refusal(STRANGER, "Rewards", "claim", *claim(chain, 1, tree, EARNERS[1], 50))
    assert refused == Refusal("TotalPassed", (chain.addresses["DNToken"].lower(), 150, 149))


def test_what_a_wrong_root_paid_counts_in_the_next_total(chain: LoneContracts) -> None:
    """A wrong root pays 500 and is disabled; the next total includes it, and the overpaid earner gets nothing more."""
    overpaid, honest = EARNERS[0], EARNERS[1]
    asset = chain.addresses["DNToken"].lower()
    wrong = submit(chain, 1, [500, 40])
    chain.send(STRANGER, "Rewards", "claim", *claim(chain, 1, wrong, overpaid, 500))
    chain.send(GUARDIAN, "Rewards", "disableRoot", 1, asset, REASON)
    right = tree_of(chain, [50, 40])
    refused = chain.refusal(SUBMITTER, "Rewards", "submitRoot", *submission(chain, 1, right, 90))
    assert refused == Refusal("TotalFell", (asset, 90, 500))
    submit(chain, 1, [50, 40], total=540)
    assert chain.refusal(STRANGER, "Rewards", "claim", *claim(chain, 1, right, overpaid, 50)) == Refusal(
        "NothingToClaim", (chain.accounts[overpaid].lower(), asset, 50, 500)
    )
    said = chain.send(STRANGER, "Rewards", "claim", *claim(chain, 1, right, honest, 40))
    assert said == paid(chain, 1, honest, 40)


def test_each_asset_has_its_own_roots(chain: LoneContracts) -> None:
    """Submits a root of DN; there is still none of USDC, and disabling it there is refused."""
    submit(chain, 1, [100])
    dollars = chain.addresses["USDCStandIn"]
    assert chain.refusal(STRANGER, "Rewards", "inForce", dollars) == Refusal("NoRootInForce", (dollars.lower(),))
    refused = chain.refusal(GUARDIAN, "Rewards", "disableRoot", 1, dollars, REASON)
    assert refused == Refusal("UnknownRoot", (1, dollars.lower()))


def test_roots_are_the_submitters_and_the_brake_the_guardians(chain: LoneContracts) -> None:
    """Calls both functions as accounts that have the other role, or none."""
    asset, tree = chain.addresses["DNToken"], tree_of(chain, [100])
    for sender in (ADMIN, GUARDIAN, STRANGER):
        refused = chain.refusal(sender, "Rewards", "submitRoot", *submission(chain, 1, tree, 100))
        needed = (chain.accounts[sender].lower(), role("ROOT_ROLE"))
        assert refused == Refusal("AccessControlUnauthorizedAccount", needed)
    submit(chain, 1, [100])
    for sender in (ADMIN, SUBMITTER, STRANGER):
        refused = chain.refusal(sender, "Rewards", "disableRoot", 1, asset, REASON)
        needed = (chain.accounts[sender].lower(), role("GUARDIAN_ROLE"))
        assert refused == Refusal("AccessControlUnauthorizedAccount", needed)


def test_a_claim_is_booked_before_it_is_paid(chain: LoneContracts) -> None:
    """Reads the trace of a claim: all storage is written before the token is called."""
    tree = submit(chain, 1, [100, 50])
    assert chain.effects_come_first(STRANGER, "Rewards", "claim", *claim(chain, 1, tree, EARNERS[0], 100))

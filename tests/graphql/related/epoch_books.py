"""Books with a few related records of every mechanism, put as the rules put them, for the tests of the API.

Three epochs were opened; the third is open. Two domains have nodes, models and tasks; rewards, receipts, a case and a
proposal hang on them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from deepnode_graphql.schema import KINDS
from deepnode_projections.rules.collateral import Collateral, CollateralCase
from deepnode_projections.rules.comparisons import Checked, Difference
from deepnode_projections.rules.domains import Domain, EmissionWeights
from deepnode_projections.rules.emission import Allocation, EmissionMint
from deepnode_projections.rules.epochs import CurrentEpoch, Epoch
from deepnode_projections.rules.governance import Proposal, Vote
from deepnode_projections.rules.pools import Earned, Reward
from deepnode_projections.rules.registry import Model, Node
from deepnode_projections.rules.revenue import Receipt
from deepnode_projections.rules.staking import Stake, StakeTotal
from deepnode_projections.rules.tasks import Slot, Task
from deepnode_projections.rules.trust import Trust
from deepnode_projections.rules.verdicts import Validation
from deepnode_projections.rules.work import Work
from tests.graphql.registers.thing_books import ThingBooks
from tests.graphql.small_books import ALICE, BOB, CAROL, Scribe, address_of, word

DN_TOKEN = address_of("DNToken")
ROUTER, COLLATERAL, GOVERNANCE = (word("contract", name)[:20] for name in ("RevenueRouter", "Collateral", "Governance"))
FIRST, SECOND = word("domain", 1), word("domain", 2)
MINERS = tuple(word("miner", number) for number in range(5))
VALIDATOR = word("validator")
MODELS = tuple(word("model", number) for number in range(3))
TASKS = tuple(word("task", number) for number in range(6))
CASE, PROPOSAL = word("case"), word("proposal")


@contextmanager
def epoch_books(books: Scribe) -> Iterator[ThingBooks]:
    """Write the history into empty books: each `put` is the log entry of the next position."""
    made = ThingBooks(books, KINDS)
    try:
        _write(made)
        yield made
    finally:
        made.close()


def _write(made: ThingBooks) -> None:
    made.put(Domain(FIRST, ALICE, "ipfs://first", 1), Domain(SECOND, BOB, "ipfs://second", 1))
    _open(made, 1)
    made.put(*(_node(number) for number in range(5)), _model(0), _model(1), _model(2))
    made.put(Node(VALIDATOR, FIRST, CAROL, 2, True, 5, 1, 4, None, None), StakeTotal(1, VALIDATOR, 70, 70))
    made.put(Stake(1, VALIDATOR, ALICE, 30, 30, 2), Stake(1, VALIDATOR, BOB, 40, 40, 2), Collateral(MINERS[0], 900, 0))
    made.put(*(_task(number, "created") for number in range(6)))
    made.put(*(_slot(number) for number in range(6)))
    made.put(Validation(TASKS[0], 1, 1, VALIDATOR, "correct", 90, word("report"), True, 8))
    _open(made, 2)
    made.put(*(_task(number, "credited") for number in range(0, 6, 2)))
    made.put(*(Work(1, FIRST, miner, 10 * n + 1, 11 * (n + 1), n) for n, miner in enumerate(MINERS[:3])))
    made.put(
        *(
            Reward(1, FIRST, DN_TOKEN, "miner", "work", miner, ALICE, 101 * (n + 1), f"606 * {11 * (n + 1)} / 66 + 0")
            for n, miner in enumerate(MINERS[:3])
        ),
        Reward(1, FIRST, DN_TOKEN, "owner", "owner", FIRST, BOB, 7, ""),
        Reward(1, FIRST, DN_TOKEN, "creator", "royalty", MODELS[0], CAROL, 9, "18 * 1 / 1 + 0; 18 * 1 / 2 + 0"),
        Allocation(1, FIRST, DN_TOKEN, 606, 0, 0, 7, 18, 0, 0),
        EmissionMint(1, 631, 0),
        EmissionWeights(FIRST, 1, 1, 600_000, 0, 0, 100_000, 290_000),
        Difference("RevenueSplit", "creator", word("receipt", 0), 13, 5, 7, ""),
        Difference("EpochAllocated", "root", word("root"), 12, None, None, "expected 0x01, reported 0x02"),
        Checked("RevenueSplit", "creator", 4, 1),
        Earned(DN_TOKEN, ALICE, 1, 606),
        Earned(DN_TOKEN, BOB, 1, 7),
    )
    made.put(*(_receipt(number) for number in range(4)))
    made.put(
        Trust(1, MINERS[0], FIRST, 510_000, 1, "correct", 15), Trust(3, MODELS[0], FIRST, 400_000, 1, "missing", 15)
    )
    _open(made, 3)
    made.put(_case(), Collateral(MINERS[0], 600, 300))
    made.put(
        Proposal(
            PROPOSAL, GOVERNANCE, ALICE, bytes(32), word("key"), 5, 10, "held", 1_700_000_900, "created", 30, 40, 0
        ),
        Vote(PROPOSAL, GOVERNANCE, ALICE, "for", 30),
        Vote(PROPOSAL, GOVERNANCE, BOB, "against", 40),
    )
    made.put(Node(MINERS[4], SECOND, BOB, 1, False, 5, 1, 3, 1, 3))


def _open(made: ThingBooks, number: int) -> None:
    position = len(made.held)
    made.put(Epoch(number, position, 1_700_000_000 + 2 * position, position), CurrentEpoch("emission", number))


def _node(number: int) -> Node:
    domain = FIRST if number < 3 else SECOND
    operator = ALICE if number < 2 else BOB
    return Node(MINERS[number], domain, operator, 1, True, 5, 1, 3, None, None)


def _model(number: int) -> Model:
    return Model(MODELS[number], FIRST if number < 2 else SECOND, CAROL, 10, 20, 30, 2, 1, word("meta", number))


def _task(number: int, stage: str) -> Task:
    model, domain = MODELS[number % 2], FIRST
    return Task(
        TASKS[number], domain, model, 1, word("consumer"), 50 + number, DN_TOKEN, 1_000_000, word("input"), "urn:p", 1,
        stage, 1, 6, f"task {number}",
    )  # fmt: skip


def _slot(number: int) -> Slot:
    return Slot(TASKS[number], 1, 1, MINERS[number % 3], 500_000, 500_000, None, 0, 7)


def _receipt(number: int) -> Receipt:
    return Receipt(
        word("receipt", number), ROUTER, MODELS[0], DN_TOKEN, ALICE, 1000 + number, word("ref"), "settled", True, 13, 13
    )


def _case() -> CollateralCase:
    fields = dict.fromkeys(
        ("verdict", "reviewer", "reason_hash", "uri", "decided_position", "appealed_by", "appeal_hash", "reverses",
         "successor")
    )  # fmt: skip
    return CollateralCase(
        CASE, COLLATERAL, MINERS[0], TASKS[1], BOB, 2, word("evidence"), "open", 16, 300, 0, 0, 0, 0, **fields
    )

"""Books of a month for the tests of statements: one person's wallet, node, case, stake, round, rewards and prices.

Unlike the small books, what belongs together is one transaction, as on a chain. Alice is whose statement is made; Bob
is harmed and compensated, Carol is the treasury.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from typing_extensions import override

from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_ledger.record import BlockRef, ChainLog, Header, TaskEvent
from tests.graphql.small_books import (
    ALICE,
    ARTIFACTS,
    BOB,
    CAROL,
    CHAIN_ID,
    DN,
    GENESIS,
    NOBODY,
    Event,
    Scribe,
    address_of,
    transfer,
    word,
)

CONTRACTS = {
    "DNToken": ("Token", 'symbol = "DN"\ndecimals = 18'),
    "USDCStandIn": ("Token", 'symbol = "USDC"\ndecimals = 6'),
    "Collateral": ("Collateral", 'asset = "DNToken"'),
    "Nodes": ("Nodes", ""),
    "Staking": ("Staking", 'asset = "DNToken"'),
    "Funding": ("Funding", 'asset = "USDCStandIn"'),
    "Models": ("Models", ""),
    "RevenueRouter": ("RevenueRouter", ""),
    "Emission": ("Emission", ""),
    "Rewards": ("Rewards", ""),
}
DN_TOKEN, USDC_TOKEN = address_of("DNToken"), address_of("USDCStandIn")
DOMAIN, NODE, VALIDATOR, OTHER, MODEL, ROUND, CASE = (
    word(each) for each in ("domain", "node", "validator", "other", "model", "round", "case")
)
USDC = 10**6
SOURCE = "urn:price"
FIRST_SECOND = 1_700_000_000
"""2023-11-14 22:13:20 UTC."""

PRICE, CORRECTION = "ai.deepnode.price.observed.v1", "ai.deepnode.correction.v1"


def second_of(number: int) -> int:
    """The time of a block, in seconds since 1970: the blocks from 10 on are a day later."""
    return FIRST_SECOND + 2 * number + (24 * 3600 if number >= 10 else 0)


class MonthScribe(Scribe):
    """A scribe to whom a list of events is one transaction."""

    said = 0

    def play(self, *transactions: Sequence[Event]) -> BlockRef:
        """Add a block of these transactions."""
        return self.block(*[_Several(each) for each in transactions])

    def tell(self, kind: str, **data: Any) -> str:
        """Accept a task event of the producer; return its id."""
        self.said += 1
        number = self.said
        text = {
            "specversion": "1.0",
            "id": f"e{number}",
            "source": "urn:p",
            "type": kind,
            "sequence": str(number),
            "time": "2026-01-31T12:00:00Z",
            "data": data,
        }
        self.log.accept([TaskEvent("urn:p", f"e{number}", number, kind, msgspec.json.encode(text), b"\x05" * 65)])
        self.projector.catch_up()
        return f"e{number}"

    def price(self, ppm: int, token: bytes = DN_TOKEN, source: str = SOURCE) -> str:
        """Tell a price in millionths of a dollar for a whole token."""
        return self.tell(PRICE, asset=to_hex(token), fiat="USD", price_ppm=str(ppm), source=source)

    @override
    def _next(self, events: Sequence[Event], branch: str) -> tuple[Header, tuple[ChainLog, ...]]:
        number = len(self.blocks) + 1
        block = BlockRef(number, word("block", number, branch), second_of(number))
        logs: list[ChainLog] = []
        for place, each in enumerate(events):
            several = each.events if isinstance(each, _Several) else [each]
            transaction = word("transaction", block.hash, place)
            for one in several:
                made = one.log(self.manifest, transaction, len(logs))
                logs.append(ChainLog(transaction, place, len(logs), made.address, made.topics, made.data))
        return Header(block, self.tip.hash if self.tip else GENESIS), tuple(logs)


class _Several(Event):
    """The events of one transaction."""

    def __init__(self, events: Sequence[Event]) -> None:
        super().__init__("", "")
        self.events = list(events)


def write_month_manifest(folder: Path, *, without: Sequence[str] = ()) -> Manifest:
    """Write a manifest of the contracts that a month needs, some of them left out, and load it."""
    lines = ["format = 1", 'name = "month"', "version = 1", "[chain]", f"id = {CHAIN_ID}"]
    lines.append(f'genesis_hash = "{to_hex(GENESIS)}"')
    for contract, (kind, extra) in CONTRACTS.items():
        if contract in without:
            continue
        abi = json.loads((ARTIFACTS / f"{contract}.json").read_text("utf-8"))["abi"]
        (folder / f"{contract}.json").write_text(json.dumps(abi), "utf-8")
        lines += ["[[contracts]]", f'name = "{contract}"', f'kind = "{kind}"', "start_block = 1"]
        lines += [f'address = "{to_hex(address_of(contract))}"', f'abi = "{contract}.json"', extra]
    path = folder / "manifest.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return load_manifest(path)


def into(contract: str, payer: bytes, amount: int, event: Event, token: str = "DNToken") -> list[Event]:
    """A transaction in which a contract tells what it takes, and takes it."""
    return [event, transfer(payer, address_of(contract), amount, token)]


def out_of(contract: str, receiver: bytes, amount: int, event: Event, token: str = "DNToken") -> list[Event]:
    """A transaction in which a contract tells what it pays, and pays it."""
    return [event, transfer(address_of(contract), receiver, amount, token)]


def staked(amount: int, target: bytes = VALIDATOR) -> list[Event]:
    """Alice stakes upon a validator."""
    event = Event("Staking", "Staked", staker=ALICE, targetType=1, target=target, amount=amount, shares=amount)
    return into("Staking", ALICE, amount, event)


def claimed(amount: int, epoch: int, earner: bytes = ALICE) -> list[Event]:
    """Somebody claims rewards of DN."""
    event = Event("Rewards", "Claimed", epoch=epoch, earner=earner, asset=DN_TOKEN, to=earner, amount=amount)
    return out_of("Rewards", earner, amount, event)


def write_month(books: MonthScribe) -> None:
    """Sixteen blocks and one behind them, all final; prices are told behind the blocks 2, 9 and 12."""
    rewards, collateral = address_of("Rewards"), address_of("Collateral")
    books.play(
        [transfer(NOBODY, ALICE, 1_000 * DN + 1), transfer(NOBODY, BOB, 500 * DN)],
        [transfer(NOBODY, ALICE, 100 * USDC, "USDCStandIn"), transfer(NOBODY, rewards, 90 * DN)],
    )
    registered = Event("Nodes", "Registered", domain=DOMAIN, node=NODE, operator=ALICE, role=1, fee=10 * DN,
                       feeBurned=1 * DN)  # fmt: skip
    books.play([registered, transfer(ALICE, NOBODY, 1 * DN), transfer(ALICE, CAROL, 9 * DN)])
    books.price(500_000)
    deposited = Event("Collateral", "Deposited", domain=DOMAIN, node=NODE, payer=ALICE, amount=30 * DN)
    books.play(into("Collateral", ALICE, 30 * DN, deposited), [transfer(BOB, ALICE, 3 * DN + 3)])
    books.play(staked(40 * DN + 7))
    flagged = Event("Collateral", "Flagged", caseId=CASE, node=NODE, taskId=word("task"), reporter=BOB, severity=2,
                    evidenceHash=word("evidence"))  # fmt: skip
    books.play([flagged, Event("Collateral", "ReviewOpened", caseId=CASE, frozen=20 * DN)])
    decided = Event("Collateral", "ReviewDecided", caseId=CASE, reviewer=CAROL, verdict=2, burned=5 * DN,
                    compensated=3 * DN, returned=2 * DN, retained=10 * DN, reasonHash=word("r"),
                    uri="ipfs://r")  # fmt: skip
    books.play(
        [decided] + [transfer(collateral, to, amount * DN) for to, amount in ((NOBODY, 5), (BOB, 3), (ALICE, 2))]
    )
    moved = {"from": VALIDATOR, "to": OTHER, "fromType": 1, "toType": 1, "amount": 15 * DN, "shares": 15 * DN}
    books.play([Event("Staking", "Redelegated", staker=ALICE, **moved)])
    asked = Event("Staking", "UnstakeRequested", staker=ALICE, targetType=1, target=OTHER, amount=15 * DN,
                  shares=15 * DN, unlockAt=1)  # fmt: skip
    books.play([asked])
    left = Event("Staking", "Unstaked", staker=ALICE, targetType=1, target=OTHER, amount=15 * DN)
    books.play(out_of("Staking", ALICE, 15 * DN, left))
    books.price(600_001)
    opened = Event("Funding", "RoundOpened", round=ROUND, model=MODEL, creator=CAROL, target=100 * USDC,
                   deadline=2_000_000_000, termsHash=word("terms"))  # fmt: skip
    backed = Event("Funding", "Backed", round=ROUND, backer=ALICE, amount=60 * USDC, shares=60 * USDC)
    books.play([opened], into("Funding", ALICE, 60 * USDC, backed, "USDCStandIn"))
    handed = {"from": ALICE, "to": BOB, "shares": 20 * USDC}
    books.play([Event("Funding", "BackerShareTransferred", round=ROUND, **handed)])
    root = Event("Rewards", "RootSubmitted", epoch=1, root=word("root"), asset=DN_TOKEN, total=80 * DN, endBlock=9,
                 uri="ipfs://root", ruleset=word("rules"), activatesAt=1)  # fmt: skip
    books.play([root])
    books.price(1_000_000, USDC_TOKEN)
    books.play(claimed(12 * DN + 5, 1))
    books.play(claimed(1, 1), [transfer(ALICE, CAROL, 2 * DN)])
    books.play([transfer(ALICE, ALICE, 4 * DN)])
    books.play([transfer(ALICE, NOBODY, 11)])
    # What comes later belongs to the newest block, so a period is final only if there is one behind it.
    books.play([transfer(NOBODY, CAROL, 1)])
    books.seal(17)


@contextmanager
def month_scribe(url: str, folder: Path) -> Iterator[MonthScribe]:
    """A scribe with empty books of such contracts."""
    made = MonthScribe(url, write_month_manifest(folder))
    try:
        yield made
    finally:
        made.close()

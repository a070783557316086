"""What the lines of a statement add up to, and what they are."""

from collections import Counter
from pathlib import Path

import psycopg
import pytest

from deepnode_graphql.service import make_service
from deepnode_graphql.statements.making import Request, make_statement
from deepnode_graphql.statements.statement import LineType, Statement
from deepnode_ledger.errors import BadInput
from deepnode_projections.tables import SCHEMA
from tests.graphql.small_books import ALICE, BOB, CAROL, DN, NOBODY, Event, address_of, transfer, word
from tests.graphql.statements.conftest import Make
from tests.graphql.statements.month_books import DN_TOKEN, USDC, MonthScribe, month_scribe, out_of


@pytest.mark.parametrize("address", [ALICE, BOB, CAROL])
@pytest.mark.parametrize("ends", ["block:4", "block:6", "block:11", "block:16"])
def test_opening_and_lines_are_the_closing_balance(statement_of: Make, address: bytes, ends: str) -> None:
    """Adds up each account's lines for several periods, and follows the balance written on each line."""
    made = statement_of(address, ends=ends)
    held = {(each.account, each.token): each.opening for each in made.balances}
    for line in made.lines:
        held[line.account, line.token] += line.amount
        assert held[line.account, line.token] == line.balance
    assert held == {(each.account, each.token): each.closing for each in made.balances}


@pytest.mark.parametrize("address", [ALICE, BOB, CAROL])
def test_lines_are_the_postings_of_the_books(statement_of: Make, month_books: MonthScribe, address: bytes) -> None:
    """Adds up lines by entry and account, and compares with the postings that SQL finds; parts in pockets apart."""
    made = statement_of(address, begins="block:0", ends="block:17")
    lines: Counter[tuple[int, str, str]] = Counter()
    for line in made.lines:
        if not line.account.startswith(("Stake:", "Backing:")):
            lines[line.position, line.account, line.token.symbol] += line.amount
    names = [each.account for each in made.balances]
    with psycopg.connect(month_books.url, options="-c search_path=books") as connection:
        rows = connection.execute(
            "SELECT position, name, symbol, sum(amount) FROM posting JOIN account USING (account_id)"
            " JOIN asset USING (asset_id) WHERE name = ANY(%s) GROUP BY 1, 2, 3",
            (names,),
        ).fetchall()
        wallet = connection.execute(
            "SELECT symbol, sum(amount) FROM posting JOIN account USING (account_id) JOIN asset USING (asset_id)"
            " WHERE holder = %s GROUP BY 1",
            (address,),
        ).fetchall()
    assert lines == {(position, name, symbol): int(amount) for position, name, symbol, amount in rows}
    held = {each.token.symbol: each.closing for each in made.balances if each.account.startswith("Wallet:")}
    assert held == {symbol: int(amount) for symbol, amount in wallet}


def test_movements_between_own_accounts_add_up_to_zero(month: Statement) -> None:
    """Adds up the lines of own movements within each transaction and token."""
    sums: Counter[tuple[bytes, str]] = Counter()
    for line in month.lines:
        if line.own:
            sums[line.transaction_hash, line.token.symbol] += line.amount
    assert sums
    assert set(sums.values()) == {0}


def test_every_line_says_what_it_was_and_who_was_on_the_other_side(month: Statement) -> None:
    """Reads the whole month as a story: type, account, counterparty and amount of each line."""
    told = [
        (line.type, line.account.split(":")[0], line.counterparty.split(":0x")[0], line.amount) for line in month.lines
    ]
    kind = LineType
    assert told == [
        (kind.COLLATERAL_IN, "Collateral", "Wallet", 30 * DN),
        (kind.COLLATERAL_IN, "Wallet", "Collateral:Free", -30 * DN),
        (kind.TRANSFER_IN, "Wallet", "Wallet", 3 * DN + 3),
        (kind.STAKE, "Stake", "Wallet", 40 * DN + 7),
        (kind.STAKE, "Wallet", "Stake:validator", -40 * DN - 7),
        (kind.FREEZE, "Collateral", "Collateral:Frozen", -20 * DN),
        (kind.FREEZE, "Collateral", "Collateral:Free", 20 * DN),
        (kind.FREEZE, "Collateral", "Collateral:Free", -10 * DN),
        (kind.FREEZE, "Collateral", "Collateral:Frozen", 10 * DN),
        (kind.SLASHING, "Collateral", "Burn", -5 * DN),
        (kind.SLASHING, "Collateral", "Wallet", -3 * DN),
        (kind.COLLATERAL_OUT, "Collateral", "Wallet", -2 * DN),
        (kind.COLLATERAL_OUT, "Wallet", "Collateral:Frozen", 2 * DN),
        (kind.RESTAKE, "Stake", "Stake:validator", -15 * DN),
        (kind.RESTAKE, "Stake", "Stake:validator", 15 * DN),
        (kind.UNBOND, "Stake", "Staking:Unbonding", -15 * DN),
        (kind.UNBOND, "Staking", "Stake:validator", 15 * DN),
        (kind.UNSTAKE, "Staking", "Wallet", -15 * DN),
        (kind.UNSTAKE, "Wallet", "Staking:Unbonding", 15 * DN),
        (kind.BACKING, "Backing", "Wallet", 60 * USDC),
        (kind.BACKING, "Wallet", "Backing:Funding", -60 * USDC),
        (kind.SHARES, "Backing", "", -20 * USDC),
        (kind.REWARD, "Wallet", "Rewards:Payable", 12 * DN + 5),
        (kind.REWARD, "Wallet", "Rewards:Payable", 1),
        (kind.TRANSFER_OUT, "Wallet", "Wallet", -2 * DN),
        (kind.TRANSFER_OUT, "Wallet", "Wallet", -4 * DN),
        (kind.TRANSFER_IN, "Wallet", "Wallet", 4 * DN),
        (kind.BURN, "Wallet", "Burn", -11),
    ]
    restaked = [line for line in month.lines if line.type is kind.RESTAKE]
    assert [line.counterparty for line in restaked] == [line.account for line in reversed(restaked)]


def test_a_registration_is_a_fee_to_both_sides(statement_of: Make) -> None:
    """Reads the block of a registration as the operator, who burns and pays, and as the treasury, which is paid."""
    paid = statement_of(begins="block:2", ends="block:2").lines
    assert [(each.type, each.amount, each.event) for each in paid] == [
        (LineType.FEE, -1 * DN, "Registered"),
        (LineType.FEE, -9 * DN, "Registered"),
    ]
    [got] = statement_of(CAROL, begins="block:2", ends="block:2").lines
    assert (got.type, got.amount, got.own) == (LineType.FEE, 9 * DN, False)


def test_who_was_harmed_is_compensated(statement_of: Make) -> None:
    """Reads the block of a verdict as the one whom the money of another's collateral went to."""
    [line] = statement_of(BOB, begins="block:6", ends="block:6").lines
    assert (line.type, line.amount) == (LineType.COMPENSATION, 3 * DN)
    assert line.counterparty.startswith("Collateral:Frozen:0x")


def test_a_reward_that_no_pool_gave_names_no_epoch(month: Statement) -> None:
    """The month's claims are of a root alone: what was paid is shown, and that nothing is known to be earned."""
    assert [(each.epoch, each.amount, each.claim_position is not None) for each in month.rewards] == [
        (None, 12 * DN + 5, True),
        (None, 1, True),
    ]
    assert any("More was claimed" in each for each in month.remarks)


def test_the_statement_of_a_contract_is_refused(statement_of: Make) -> None:
    """Asks for the statement of the staking contract, whose money is its stakers'."""
    with pytest.raises(BadInput, match="is the contract Staking"):
        statement_of(address_of("Staking"))


def test_who_never_had_anything_has_an_empty_statement(statement_of: Make) -> None:
    """Asks for an address that is not in the books."""
    made = statement_of(bytes([9]) * 20)
    assert (made.balances, made.lines, made.rewards) == ((), (), ())


def test_a_claim_that_went_elsewhere_is_received_without_a_line(database_url: str, tmp_path: Path) -> None:
    """Lets the contract pay Alice's reward to Bob: hers in the rewards, no line of hers, and a transfer to him."""
    with month_scribe(database_url, tmp_path) as books:
        root = Event("Rewards", "RootSubmitted", epoch=1, root=word("root"), asset=DN_TOKEN, total=9, endBlock=1,
                     uri="", ruleset=word("rules"), activatesAt=1)  # fmt: skip
        told = Event("Rewards", "Claimed", epoch=1, earner=ALICE, asset=DN_TOKEN, to=BOB, amount=4)
        books.play([transfer(NOBODY, address_of("Rewards"), 9)], [root], out_of("Rewards", BOB, 4, told))
        service = make_service(books.url, books.manifest, SCHEMA)
        with service.reading() as reading:
            hers, his = (make_statement(reading, Request(each, "block:1")) for each in (ALICE, BOB))
        service.engine.dispose()
    assert (hers.lines, [each.amount for each in hers.rewards]) == ((), [4])
    assert any("paid to another address" in each for each in hers.remarks)
    [line] = his.lines
    assert (line.type, line.amount, line.dates, his.rewards) == (LineType.TRANSFER_IN, 4, None, ())
    assert line.note

"""`deepnode reconcile` before a real chain: books that are right are found equal, and no single base unit is missed."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from psycopg import Connection
from typer.testing import CliRunner

from deepnode_indexer.devnet.json_rpc import JsonRpc
from deepnode_ledger.evidence import Hold
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.projector import connect
from deepnode_projections.registers.at import StateAt
from deepnode_projections.rules.epochs import Epoch
from tests.command_line import app
from tests.e2e.real_parts import Devnet, Ledger

BLOCKS = 150
"""So many that four epochs are over, and roots of three are claimed from."""

Told = list[dict[str, Any]]

PRESENT = """
UPDATE balance SET balance = balance + %s FROM account a WHERE a.account_id = balance.account_id
AND balance.asset_id = 1 AND a.name = (SELECT min(name) FROM account WHERE owner = 'Wallet')
"""

STAKED = """
UPDATE posting SET balance = balance + %s WHERE (position, leg) = (
    SELECT position, leg FROM posting JOIN account USING (account_id) WHERE owner = 'Staking' AND pocket = 'Staked'
    ORDER BY position DESC, leg DESC LIMIT 1
)
"""

AMOUNT = """
UPDATE posting SET amount = amount + %s
WHERE leg = 0 AND position = (SELECT position FROM posting ORDER BY position OFFSET 100 LIMIT 1)
"""

CLAIMED = """
UPDATE claimed_total SET amount = amount + %s
WHERE until IS NULL AND (earner, asset) = (SELECT earner, asset FROM claimed_total ORDER BY earner, asset LIMIT 1)
"""

IN_ROWS = {"running balances add up", "the present is the last posting's"}

PLANTED = {
    PRESENT: {"the present is the last posting's"},
    STAKED: IN_ROWS | {"balances", "contracts", "views", "assets sum to zero"},
    AMOUNT: {"entries sum to zero", "epochs sum to zero", "running balances add up"},
    CLAIMED: {"claims"},
}
"""Statements that write one base unit too many, and the parts in which it must be found at the head."""


def told(devnet: Devnet, ledger: Ledger, *more: str) -> tuple[int, Told]:
    """Reconcile; return the exit code and what was said."""
    settings = ["--rpc", devnet.node.url, "--database", ledger.url, "--manifest", str(devnet.deployment.manifest)]
    done = CliRunner().invoke(app, ["reconcile", *settings, "--json", *more])
    assert done.exit_code in (0, 3), done.exception
    return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()]


def differing(lines: Told) -> Told:
    return [line for line in lines if line["event"] == "difference"]


def notes(lines: Told) -> list[str]:
    return [line["text"] for line in lines if line["event"] == "note"]


def assert_equal(devnet: Devnet, ledger: Ledger, block: int) -> dict[str, int]:
    """Reconcile a block, in which all must be equal; return the counts."""
    code, lines = told(devnet, ledger, "--block", str(block))
    assert differing(lines) == [], block
    assert code == 0
    return {line["part"]: line["compared"] for line in lines if line["event"] == "part"}


def block_of_wrong_root(connection: Connection[Any]) -> int:
    """The first block with a root that the rules do not give: the devnet submits one now and then, and disables it."""
    row = connection.execute(
        "SELECT min(number) AS number FROM block"
        " WHERE last_position >= (SELECT min(reported_position) FROM difference WHERE subject = 'RootSubmitted')"
    ).fetchone()
    assert row is not None
    return int(row["number"])


@contextmanager
def planted(connection: Connection[Any], statement: str) -> Iterator[None]:
    """Write one base unit too many for a while."""
    with connection.transaction():
        assert connection.execute(statement.encode(), (1,)).rowcount == 1, statement
    try:
        yield
    finally:
        with connection.transaction():
            connection.execute(statement.encode(), (-1,))


def donate(devnet: Devnet, giver: str, token: bytes, receiver: bytes, amount: int) -> str:
    """Send tokens to a contract that did not ask for them; return the transaction's hash."""
    node = JsonRpc(devnet.node.url)
    node.call("anvil_impersonateAccount", giver)
    data = "0xa9059cbb" + receiver.hex().rjust(64, "0") + amount.to_bytes(32).hex()
    sent = node.call("eth_sendTransaction", {"from": giver, "to": to_hex(token), "data": data, "gasPrice": "0x0"})
    node.call("evm_mine")
    return str(sent)


def test_equal_books_are_found_equal_and_each_error_and_gift_is_named(devnet: Devnet, ledger: Ledger) -> None:
    """Plays 150 blocks one by one; reconciles the head and past blocks, then donates, and plants errors in the rows."""
    for _ in range(BLOCKS):
        envelopes = devnet.play(1)
        for _change in ledger.follower.sync():
            pass
        ledger.take_in(envelopes)
    ledger.sync()
    with closing(connect(ledger.url, "books")) as connection:
        opened = [each.start_block for each in StateAt(connection, 10**9).every(Epoch)]
        assert len(opened) >= 4
        head = devnet.economy.block_number
        for block in (*(start - 1 for start in opened[1:4]), 88):
            assert_equal(devnet, ledger, block)
        counts = assert_equal(devnet, ledger, head)
        assert counts["balances"] > 100
        assert counts["views"] > 100
        assert counts["claims"] > 40
        assert counts["roots"] == 10
        assert counts["running balances add up"] > 5_000

        code, lines = told(devnet, ledger, "--block", str(block_of_wrong_root(connection)))
        assert code == 3
        wrong = differing(lines)
        assert {each["part"] for each in wrong} == {"roots"}
        assert all(each["where"].endswith("by the rules") for each in wrong), wrong

        given_by = connection.execute(
            "SELECT a.holder FROM account a JOIN balance b USING (account_id)"
            " WHERE a.owner = 'Wallet' AND b.asset_id = 1 ORDER BY b.balance DESC LIMIT 1"
        ).fetchone()
        assert given_by is not None
        giver = to_hex(given_by["holder"])
        token, staking = devnet.manifest.tokens[0], devnet.manifest.by_name("Staking")
        transaction = donate(devnet, giver, token.address, staking.address, 5)
        ledger.sync()
        head = devnet.economy.block_number
        assert_equal(devnet, ledger, head)
        _, lines = told(devnet, ledger, "--block", str(head))
        gift = f"a donation to Staking: 5 {token.symbol} (base units) from Wallet:{giver} in transaction {transaction}"
        assert gift in notes(lines)

        for statement, parts in PLANTED.items():
            with planted(connection, statement):
                code, lines = told(devnet, ledger, "--block", str(head))
            found = differing(lines)
            assert code == 3, statement
            assert {each["part"] for each in found} == parts, statement
            assert {each["difference"] for each in found} <= {"1", "-1"}, statement
        assert_equal(devnet, ledger, head)


def test_what_cannot_be_compared_is_said(devnet: Devnet, ledger: Ledger) -> None:
    """Asks of no books, of a block ahead of them, by an ABI that lacks a view, and behind a range that is held."""
    settings = ["--rpc", devnet.node.url, "--database", ledger.url, "--manifest", str(devnet.deployment.manifest)]
    none = CliRunner().invoke(app, ["reconcile", *settings])
    assert "run `deepnode project` first" in str(none.exception)
    devnet.play(3)
    ledger.sync()
    ahead = CliRunner().invoke(app, ["reconcile", *settings, "--block", "9999"])
    assert "block 9999 is ahead of the books" in str(ahead.exception)
    text = CliRunner().invoke(app, ["reconcile", *settings])
    assert text.exit_code == 0
    assert text.stdout.splitlines()[-1] == "all equal"
    assert "not asked" not in text.stdout

    file = devnet.deployment.manifest.parent / "abi" / "RevenueRouter.json"
    file.write_text(json.dumps([each for each in json.loads(file.read_text()) if each.get("name") != "escrowOf"]))
    text = CliRunner().invoke(app, ["reconcile", *settings])
    assert text.exit_code == 0
    assert "not asked: RevenueRouter.escrowOf(address): the manifest's ABI has no such view" in text.stdout

    ledger.log.hold(Hold(2, 3, "two providers differ"))
    held = CliRunner().invoke(app, ["reconcile", *settings])
    assert "blocks 2 to 3 are held (two providers differ)" in str(held.exception)

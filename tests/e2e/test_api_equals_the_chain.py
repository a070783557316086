"""What the API answers is what the token contracts answer, at the head and at past blocks."""

from pathlib import Path
from random import Random
from typing import Any

import urllib3

from deepnode_indexer.devnet.anvil import free_port
from deepnode_ledger.hexadecimal import from_hex
from tests.e2e.commands import service, wait_for_status
from tests.e2e.real_parts import Devnet, Ledger

ACCOUNTS = """
query ($block: Long!, $after: String) {
  accounts(first: 100, after: $after, at: { block: $block }) {
    pageInfo { hasNextPage endCursor }
    edges { node { name holder balances { amount asset { address } } } }
  }
}
"""


def test_accounts_at_a_block_sum_to_balance_of_at_that_block(devnet: Devnet, ledger: Ledger, tmp_path: Path) -> None:
    """Over HTTP, the accounts of every holder sum to its ``balanceOf`` in both tokens, now and at 20 past blocks."""
    for _ in range(6):
        ledger.take_in(devnet.play(20))
        ledger.sync()
    devnet.economy.reorg(6)
    ledger.take_in(devnet.play(20))
    ledger.sync()
    port = free_port()
    settings = {"DEEPNODE_DATABASE_URL": ledger.url, "DEEPNODE_MANIFEST": str(devnet.deployment.manifest)}
    with service(["serve", "--port", str(port)], settings, tmp_path / "api.log"):
        url = f"http://127.0.0.1:{port}/graphql"
        wait_for_status(f"http://127.0.0.1:{port}/ready", 200)
        head = devnet.economy.block_number
        holders = sorted({holder for holder, _ in held(url, head)})
        assert len(holders) > 35
        for block in [head, *Random(21).sample(range(1, head), 20)]:
            books = held(url, block)
            for token in devnet.manifest.tokens:
                chain = devnet.balances_of(token.address, holders, block)
                assert [books.get((holder, token.address), 0) for holder in holders] == chain, (block, token.name)


def held(url: str, block: int) -> dict[tuple[bytes, bytes], int]:
    """What each holder has of each token at a block, by the API's accounts, page by page."""
    sums: dict[tuple[bytes, bytes], int] = {}
    after: str | None = None
    while True:
        variables = {"block": block, "after": after}
        answer: Any = urllib3.request("POST", url, json={"query": ACCOUNTS, "variables": variables}, timeout=30).json()
        assert "errors" not in answer, answer
        accounts = answer["data"]["accounts"]
        for edge in accounts["edges"]:
            if edge["node"]["holder"] is None:
                continue
            for balance in edge["node"]["balances"]:
                key = (from_hex(edge["node"]["holder"]), from_hex(balance["asset"]["address"]))
                sums[key] = sums.get(key, 0) + int(balance["amount"])
        if not accounts["pageInfo"]["hasNextPage"]:
            return sums
        after = accounts["pageInfo"]["endCursor"]

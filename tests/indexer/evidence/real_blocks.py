"""Real blocks of mainnet, Base and other OP-stack chains; ``real_blocks.json`` names where each was taken from."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deepnode_indexer.evidence import VerifiedHeader, header
from deepnode_ledger.hexadecimal import from_hex

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RealBlock:
    """A header and receipts as a node answers; the one or the other is None where its source has none."""

    name: str
    header: Json | None
    receipts: list[Json] | None
    receipts_root: bytes

    def verified(self) -> VerifiedHeader:
        """The header, held against its hash."""
        assert self.header is not None
        return header.verified(self.header)

    def answer(self) -> list[Json]:
        """The receipts with what a node adds to them: their block, their indexes, and hashes of transactions.

        The root commits to none of it, so the hashes are made up.
        """
        assert self.header is not None
        assert self.receipts is not None
        answered = []
        log_index = 0
        for index, receipt in enumerate(self.receipts):
            place = {
                "blockHash": self.header["hash"],
                "transactionHash": f"0x{index:064x}",
                "transactionIndex": hex(index),
            }
            logs = []
            for log in receipt["logs"]:
                logs.append({**log, **place, "logIndex": hex(log_index)})
                log_index += 1
            answered.append({**receipt, **place, "logs": logs})
        return answered


def _read() -> tuple[RealBlock, ...]:
    text = Path(__file__).with_suffix(".json").read_text("utf-8")
    blocks = []
    for raw in json.loads(text)["blocks"]:
        root = (raw["header"] or raw)["receiptsRoot"]
        blocks.append(RealBlock(f"{raw['chain']} {raw['number']}", raw["header"], raw["receipts"], from_hex(root, 32)))
    return tuple(blocks)


BLOCKS: Final = _read()

WITH_HEADER: Final = tuple(block for block in BLOCKS if block.header is not None)

WITH_RECEIPTS: Final = tuple(block for block in BLOCKS if block.receipts is not None)

WHOLE: Final = tuple(block for block in WITH_HEADER if block.receipts is not None)


def named(name: str) -> RealBlock:
    """The one block of this chain and number."""
    return next(block for block in BLOCKS if block.name == name)


LONDON: Final = named("Ethereum mainnet 14764013")
"""Nineteen receipts with 28 logs."""

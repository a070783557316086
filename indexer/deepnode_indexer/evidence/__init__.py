"""What a node's answers are held against: block headers, blooms and receipts, recomputed byte for byte.

A node can leave logs out of ``eth_getLogs`` and nothing in that answer shows it. What it cannot do is make other logs
fit a block's hash: the hash commits to the header, the header to the receipts' root, and that root to every log of the
block. Nothing here asks a node; it judges answers that somebody else got, and the bytes in which they were kept.
"""

from deepnode_indexer.evidence import bloom, header, ordered_trie, receipt
from deepnode_indexer.evidence.header import HeaderDiffers, VerifiedHeader
from deepnode_indexer.evidence.receipt import ReceiptsDiffer

__all__ = ["HeaderDiffers", "ReceiptsDiffer", "VerifiedHeader", "bloom", "header", "ordered_trie", "receipt"]

"""The log: events and their positions, sealing, the Merkle tree, money and accounts."""

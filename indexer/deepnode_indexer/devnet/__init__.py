"""A local stand-in for DeepNode on Base: a real EVM node, the reference contracts, and an economy that uses them."""

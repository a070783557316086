"""Which nodes serve which chain: ``--rpc`` as it is given, made into what the indexer asks."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from deepnode_indexer.level import Level
from deepnode_indexer.rpc import shown
from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import Manifest

if TYPE_CHECKING:
    from deepnode_indexer.chain_intake import ChainSource

_WITH_CHAIN: Final = re.compile(r"^(\d{1,19})=(.*)\Z", re.ASCII | re.DOTALL)


def nodes_of(rpc: Sequence[str], manifest: Manifest) -> dict[int, list[str]]:
    """Sort the URLs of nodes by the chain that they serve, each chain's in the order given.

    Raises:
        BadInput: a URL is none, is of no chain of the manifest, or a chain has no node.
    """
    nodes: dict[int, list[str]] = {chain_id: [] for chain_id in manifest.chains}
    for each in rpc:
        named, url = chain_and_url(each)
        chain_id = manifest.chain_id if named is None else named
        shown(url)
        if chain_id not in nodes:
            known = ", ".join(map(str, nodes))
            raise BadInput(f"--rpc {chain_id}={shown(url)}: the manifest is about the chains {known}")
        nodes[chain_id].append(url)
    for chain_id, urls in nodes.items():
        if not urls:
            raise BadInput(f"no node is given for chain {chain_id}: --rpc {chain_id}=URL")
    return nodes


def chain_and_url(rpc: str) -> tuple[int | None, str]:
    """Read one ``--rpc``: the chain that it names, None if it names none, and what should be a URL."""
    named = _WITH_CHAIN.match(rpc)
    return (None, rpc) if named is None else (int(named[1]), named[2])


def sources_of(rpc: Sequence[str], manifest: Manifest, level: Level, sampled: int) -> "dict[int, ChainSource]":
    """Say where each chain of the manifest is asked for, and how it is shown to be whole.

    Raises:
        BadInput: as for ``nodes_of``.
    """
    # Only who asks the nodes needs all that this brings in.
    from deepnode_indexer.chain_intake import ChainSource

    return {chain_id: ChainSource(urls, level, sampled) for chain_id, urls in nodes_of(rpc, manifest).items()}

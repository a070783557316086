"""Importers: a statement in the formats that tax and portfolio tools read; docs/importers.md says how to use each."""

from collections.abc import Mapping
from typing import Final

from deepnode_graphql.statements.importers.bittytax import BITTYTAX
from deepnode_graphql.statements.importers.coinledger import COINLEDGER
from deepnode_graphql.statements.importers.cointracker import COINTRACKER
from deepnode_graphql.statements.importers.cointracking import COINTRACKING
from deepnode_graphql.statements.importers.cryptio import CRYPTIO
from deepnode_graphql.statements.importers.cryptobooks import CRYPTOBOOKS
from deepnode_graphql.statements.importers.importer import Importer
from deepnode_graphql.statements.importers.koinly import KOINLY
from deepnode_graphql.statements.importers.rotki import ROTKI
from deepnode_graphql.statements.importers.summ import SUMM
from deepnode_graphql.statements.importers.tokentax import TOKENTAX

__all__ = ["IMPORTERS", "Importer"]

_ALL: Final = (
    BITTYTAX,
    COINLEDGER,
    COINTRACKER,
    COINTRACKING,
    CRYPTIO,
    CRYPTOBOOKS,
    KOINLY,
    ROTKI,
    SUMM,
    TOKENTAX,
)

IMPORTERS: Final[Mapping[str, Importer]] = {each.name: each for each in _ALL}
"""Every importer by its name, as ``deepnode statement --format NAME`` takes it."""

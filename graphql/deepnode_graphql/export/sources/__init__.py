"""What can be exported: every source by its name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from deepnode_graphql.export.source import Source
from deepnode_graphql.export.sources.balances import BALANCES
from deepnode_graphql.export.sources.claims import CLAIMS
from deepnode_graphql.export.sources.distributions import DISTRIBUTIONS
from deepnode_graphql.export.sources.entries import ACCOUNTS, BLOCKS, ENTRIES, REFUSALS, UNREADABLE
from deepnode_graphql.export.sources.log_entries import LOG_ENTRIES
from deepnode_graphql.export.sources.postings import POSTINGS
from deepnode_graphql.export.sources.records import record_sources
from deepnode_projections.rules.book import RECORDS

_OWN: Final = (
    POSTINGS, BALANCES, ENTRIES, DISTRIBUTIONS, CLAIMS, ACCOUNTS, BLOCKS, REFUSALS, UNREADABLE, LOG_ENTRIES,
)  # fmt: skip

SOURCES: Final[Mapping[str, Source]] = MappingProxyType({each.name: each for each in (*_OWN, *record_sources(RECORDS))})
"""Every source, those of their own before those that are made from the declarations of records."""

assert len(SOURCES) == len(_OWN) + len(RECORDS), "two sources have one name"

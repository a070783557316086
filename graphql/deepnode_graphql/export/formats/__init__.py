"""How an export can be written: every format by the end of its file's name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from deepnode_graphql.export.formats.arrow import ARROW
from deepnode_graphql.export.formats.csv import CSV
from deepnode_graphql.export.formats.format import Format
from deepnode_graphql.export.formats.ndjson import NDJSON
from deepnode_graphql.export.formats.parquet import PARQUET
from deepnode_graphql.export.formats.xlsx import XLSX

FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {each.suffix: each for each in (ARROW, PARQUET, CSV, NDJSON, XLSX)}
)

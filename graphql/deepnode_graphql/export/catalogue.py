"""What there is to export, as data: for /export, and for whoever writes an importer."""

from typing import Any

from deepnode_graphql.export.formats import FORMATS
from deepnode_graphql.export.request import PARAMETERS
from deepnode_graphql.export.source import AMOUNT
from deepnode_graphql.export.sources import SOURCES


def catalogue() -> dict[str, Any]:
    """Return every source with its columns and filters, the formats, and the parameters of all sources."""
    return {
        "sources": [
            {
                "name": source.name,
                "said": source.said,
                "columns": [
                    {"name": field.name, "type": _type(field.type), "nullable": field.nullable}
                    for field in source.schema
                ],
                "filters": list(source.filters),
                "sortedBy": list(source.sorted_by),
            }
            for source in SOURCES.values()
        ],
        "formats": [
            {"suffix": each.suffix, "name": each.name, "mediaType": each.media_type} for each in FORMATS.values()
        ],
        "parameters": list(PARAMETERS),
    }


def _type(kind: Any) -> str:
    if kind == AMOUNT:
        return "decimal128(38, 0)"
    return "string" if str(kind).startswith("dictionary") else str(kind)

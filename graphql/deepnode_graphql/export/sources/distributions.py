"""How the pools of the domains were divided, epoch by epoch, and the roots by which it can be claimed."""

from typing import Final

import pyarrow as pa

from deepnode_graphql.export import filters
from deepnode_graphql.export.rows import ASSET, Cell, Query
from deepnode_graphql.export.source import AMOUNT, NAME, TEXT
from deepnode_graphql.export.sources.plain import plain_source
from deepnode_graphql.export.wire import Wire

LEGS: Final = ("miners", "stakers", "validators", "owner", "models", "foundation", "undistributed")
"""The parts of a pool. They sum to it."""

_POOL: Final = f"({' + '.join(f't.{leg}' for leg in LEGS)})"
"""Each leg is below 10**38. Of all together only a chain gone mad could say so; then there is none."""


def _at_moment(table: str, name: str) -> str:
    return (
        f"LEFT JOIN {table} {name} ON {name}.epoch = t.epoch AND {name}.asset = t.asset AND"
        f" {name}.position <= %(at)s AND ({name}.until IS NULL OR {name}.until > %(at)s)"
    )


DISTRIBUTIONS: Final = plain_source(
    "distributions",
    "How a domain's pool of a token was divided for an epoch, leg by leg, with the epoch's root: the one that was"
    " submitted and the one that the rules give.",
    Query(
        (
            Cell("epoch", "t.epoch", Wire.WHOLE, pa.int64()),
            Cell("domain", "t.domain", Wire.BYTES, NAME),
            Cell("asset", "t.asset", Wire.BYTES, ASSET),
            Cell("pool", f"CASE WHEN {_POOL} < 1e38 THEN {_POOL} END", Wire.AMOUNT, AMOUNT, nullable=True),
            *(Cell(leg, f"t.{leg}", Wire.AMOUNT, AMOUNT) for leg in LEGS),
            Cell("root", "r.root", Wire.BYTES, TEXT, nullable=True),
            Cell("root_total", "r.total", Wire.AMOUNT, AMOUNT, nullable=True),
            Cell("root_position", "r.submitted_position", Wire.WHOLE, pa.int64(), nullable=True),
            Cell("root_disabled", "(r.disabled_reason IS NOT NULL)::integer", Wire.WHOLE, pa.bool_()),
            Cell("expected_root", "x.root", Wire.BYTES, TEXT, nullable=True),
            Cell("expected_total", "x.total", Wire.AMOUNT, AMOUNT, nullable=True),
            Cell("expected_earners", "x.earners", Wire.WHOLE, pa.int64(), nullable=True),
        ),
        f"allocation t {_at_moment('reward_root', 'r')} {_at_moment('expected_root', 'x')}",
        "t.position",
        ("position", "epoch", "domain", "asset"),
    ),
    {
        "epoch": ("t.epoch", filters.whole),
        "domain": ("t.domain", filters.octets),
        "asset": ("t.asset", filters.text),
    },
    ("t.position BETWEEN %(from)s AND %(at)s", "(t.until IS NULL OR t.until > %(at)s)"),
    sorted_by="position",
)

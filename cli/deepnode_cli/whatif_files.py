"""A what-if's files: tables for programs, as Arrow or Parquet. The same outcome gives the same bytes.

Amounts are ``decimal128(38, 0)`` in base units, ids and addresses dictionaries of ``0x…`` texts. The metadata names the
scenario by its hash and its canonical text, and the log by its last position and state root.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from deepnode_cli.charting import FORMATS
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest

if TYPE_CHECKING:
    from deepnode_projections.whatif import WhatIf

AMOUNT: Final = pa.decimal128(38, 0)
WORDS: Final = pa.dictionary(pa.int32(), pa.string())

_PLACE: Final = (("epoch", pa.int64()), ("domain", WORDS))
_DIFFERENCE: Final = (("was", AMOUNT), ("scenario", AMOUNT), ("difference", AMOUNT))
_PRESSURE: Final = ("emitted", "sold", "needed", "created", "two_emitted", "two_needed")

SCHEMAS: Final[Mapping[str, pa.Schema]] = {
    "rewards": pa.schema([*_PLACE, ("asset", WORDS), ("role", WORDS), ("earner", WORDS), *_DIFFERENCE]),
    "splits": pa.schema([*_PLACE, ("asset", WORDS), ("leg", WORDS), ("paid", AMOUNT), *_DIFFERENCE]),
    "pressure": pa.schema(
        [*_PLACE, ("side", WORDS), *((name, AMOUNT) for name in _PRESSURE), ("coverage_ppm", AMOUNT),
         ("unpriced", pa.int64())]
    ),
}  # fmt: skip
"""The columns of each table. Of ``pressure``, amounts are millionths of a dollar."""


def check_table(name: str) -> None:
    """Refuse a table that there is not.

    Raises:
        BadInput: the message names those that there are.
    """
    if name not in SCHEMAS:
        raise BadInput(f"{name!r:.40} is no table of a what-if: there are {', '.join(SCHEMAS)}")


def picture_format(path: Path) -> str:
    """Return the format that a chart's file name asks for.

    Raises:
        BadInput: it ends in none of them.
    """
    ending = path.suffix.removeprefix(".").lower()
    if ending not in FORMATS:
        raise BadInput(f"{path} ends in no format of charts: there are {', '.join(f'.{each}' for each in FORMATS)}")
    return ending


def rows_of(found: "WhatIf", name: str) -> list[dict[str, Any]]:
    """Return a table's rows, in the order of epochs and domains."""
    return _ROWS[name](found)


def table_file(found: "WhatIf", manifest: Manifest, name: str, kind: str) -> bytes:
    """Return a table as the bytes of a file.

    Args:
        found: the outcome.
        manifest: the deployment.
        name: of the table.
        kind: ``arrow`` (the IPC file format) or ``parquet``.
    """
    schema = SCHEMAS[name].with_metadata(_metadata(found, manifest, name))
    rows = rows_of(found, name)
    columns = [_column(schema.field(each).type, [row[each] for row in rows]) for each in schema.names]
    table = pa.Table.from_arrays(columns, schema=schema)
    sink = pa.BufferOutputStream()
    if kind == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, sink, compression="zstd")
    else:
        with pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
    octets: bytes = sink.getvalue().to_pybytes()
    return octets


def _metadata(found: "WhatIf", manifest: Manifest, name: str) -> dict[str, str]:
    return {
        "deepnode.table": f"what-if {name}",
        "deepnode.scenario": to_hex(found.scenario.digest),
        "deepnode.scenario.canonical": found.scenario.canonical,
        "deepnode.from_epoch": str(found.scenario.from_epoch),
        "deepnode.manifest": to_hex(manifest.digest),
        "deepnode.chain_id": str(manifest.chain_id),
        "deepnode.first_position": "1",
        "deepnode.position": str(found.was.position),
        "deepnode.state_root": to_hex(found.was.root),
        "deepnode.state_root.scenario": to_hex(found.under.root),
    }


def _column(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, kind)


def _row(of: object, names: Iterable[str]) -> dict[str, Any]:
    """Return what something says under these names; ids and addresses are texts, and None where there is none."""
    told = {name: getattr(of, name) for name in names}
    return {name: (to_hex(each) if each else None) if isinstance(each, bytes) else each for name, each in told.items()}


def _pressures(found: "WhatIf") -> list[dict[str, Any]]:
    return [
        {
            **_row(each, ("epoch", "domain")),
            "side": side,
            **_row(each, _PRESSURE),
            "coverage_ppm": each.coverage,
            "unpriced": each.unpriced,
        }
        for side, rows in (("was", found.was.pressures), ("scenario", found.under.pressures))
        for each in rows
    ]


_ROWS: Final[Mapping[str, Callable[["WhatIf"], list[dict[str, Any]]]]] = {
    "rewards": lambda found: [_row(each, SCHEMAS["rewards"].names) for each in found.changes],
    "splits": lambda found: [_row(each, SCHEMAS["splits"].names) for each in found.splits],
    "pressure": _pressures,
}

"""The table of records in docs/api.md: a line for each kind, made of its declaration."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from deepnode_graphql.registers.names import field_name, summary
from deepnode_graphql.registers.register import registers_of
from deepnode_graphql.registers.sums import sums_name
from deepnode_projections.registers.record import Record

BEGIN: Final = "<!-- records -->\n"
END: Final = "<!-- end of records -->\n"


def table(kinds: Iterable[type[Record]], taken_types: Iterable[str], taken_fields: Iterable[str]) -> str:
    """Return the table in Markdown: the root fields, the key, and the first sentence of what is said of a kind."""
    lines = ["| list, one, sums | key | a record is |", "|---|---|---|"]
    for register in registers_of(kinds, taken_types, taken_fields):
        key = ", ".join(field_name(field) for field in register.key)
        said = summary(register.kind).replace("|", "\\|")
        fields = (register.names.many, register.names.one, sums_name(register))
        shown = ", ".join(f"`{name}`" for name in fields if name is not None)
        lines.append(f"| {shown} | {key} | {said} |")
    return "\n".join(lines) + "\n"


def renewed(page: str, made: str) -> str:
    """Return the page with another table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{made}{END}{after}"


if __name__ == "__main__":
    # python -m deepnode_graphql.registers.page docs/api.md
    from deepnode_graphql.schema import KINDS, taken_names

    path = Path(sys.argv[1])
    path.write_text(renewed(path.read_text("utf-8"), table(KINDS, *taken_names())), "utf-8")

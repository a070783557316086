"""docs/performance.md, made from what the benchmarks found."""

import json
from pathlib import Path
from typing import Any, Final

from benchmarks.result import OUT, figure

PAGE: Final = Path(__file__).parents[1] / "docs" / "performance.md"

INTRODUCTION: Final = """\
# Performance

Measured by `make bench-log`, ours and the peer in turn in one run; each figure is a median. This page is made from
`benchmarks/out/`, which the command writes; figures of another machine differ, ratios less so.
"""

TITLES: Final = {"log": "The log"}


def page() -> str:
    """Return the page's text."""
    parts = [INTRODUCTION]
    for name, title in TITLES.items():
        path = OUT / f"{name}.json"
        if path.exists():
            parts.append(_section(title, json.loads(path.read_text(encoding="utf-8"))))
    return "\n".join(parts)


def _section(title: str, results: list[dict[str, Any]]) -> str:
    lines = [f"## {title}", "", f"On {results[0]['machine']}.", ""]
    lines += ["| case | ours | peer | | ratio | bound | goal |", "|---|---:|---:|---|---:|---:|---|"]
    for each in results:
        bound = "" if each["bound"] is None else figure(each["bound"])
        ours = f"{figure(each['ours'])} {each['unit']}"
        cells = [
            each["case"],
            ours,
            figure(each["peer"]),
            each["peer_name"],
            f"{each['ratio']:.2f}",
            bound,
            each["goal"],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write() -> None:
    """Write the page anew."""
    PAGE.write_text(page(), encoding="utf-8")

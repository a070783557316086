"""docs/performance.md, made from what the benchmarks found."""

import json
from pathlib import Path
from typing import Any, Final

from benchmarks.result import OUT, figure

PAGE: Final = Path(__file__).parents[1] / "docs" / "performance.md"

INTRODUCTION: Final = """\
# Performance

Each section is measured by a command of its own, ours and the peer in turn in one run; each figure is a median. This
page is made from `benchmarks/out/`, which the commands write; figures of another machine differ, ratios less so.
"""

TITLES: Final = {
    "log": "The log",
    "ingest": "From the chain to the books",
    "export": "Exports",
    "replay": "Replaying the log",
    "api": "GraphQL over HTTP",
    "verify": "Verifying a bundle",
}

NOTES: Final = {
    "api": """\
The same tables on one PostgreSQL, the same uvicorn, one process each, eight connections that ask without a pause;
client, server and database share the two cores. Each server's answers are compared before anything is measured.
Strawberry as it comes: its ASGI application, types with asynchronous resolvers, and the same SQL. The bound is a
handler of that SQL which writes dictionaries by orjson, without GraphQL.
""",
    "ingest": """\
Transfers of one token on one anvil node, everybody on the same PostgreSQL, from an empty database and the start of the
processes to the last transfer in the books; then every account's balance is compared with the contract's rule. The work
is the same for everybody: a row for each transfer, and both balances (ours: an entry and its two postings). The peers'
configurations are in `benchmarks/peers/`. The bound is the same logs fetched and thrown away. CPU time is of whole
process trees; peak memory is what each process held at most, added up. Tail: 200 transfers every two seconds, from the
block to its last transfer's row, where new blocks are told of by the node (WebSocket) or asked for (polling).
""",
    "replay": """\
A log that was made up from a seed: of five entries three are task events, the rest are transfers among two hundred
thousand wallets, payments and their splits, ten epochs with their distributions, and rare changes; many tasks are
under way at once, and a few events are refused or differ, as they are meant to. Replay: the sealed log in PostgreSQL
to the state root behind its last entry, in one process, without and with what was
decoded before; reading, decoding, folding and the root alone are one after the other, out of files. The
specification is the rules in plain Python, entry by entry, which decodes what it folds. The library reads one stored
event an entry out of PostgreSQL by its mapper and its projection runner, and keeps but balances and work, in memory.
All three are compared on the peers' share before anything is measured. Rebuild: books made anew beside those that are
there, their state roots, and the swap; Ponder indexes transfers alone, a row for each and both balances, out of the
answers that it has kept. Balances: 2,000 accounts and positions, an account as likely as it has postings; one has a
tenth of them all. Tail: a block of some ninety entries every half second, from its commit in the log to its rows in the
books as another connection sees them; then as many entries at once as the kernel takes over for.
""",
    "verify": """\
A log that was made up from a seed, in a real database, projected, signed and made a bundle of: of 100 entries some 85
are transfers of two tokens, 12 are task events with real signatures, the rest are logs of eight kinds of contracts; an
epoch ends with every hundred blocks. All that `deepnode verify` looks at is looked at, and no error is found. The
replay goes entry by entry beside the other stages, so their times overlap. There is no evidence of a node in the
bundle: headers and receipts of a chain that was made up prove nothing. Stages that take less than one hundredth have no
line. Memory is what each process held at most, added up, pages that they share counted in each.
""",
}
"""What a section's figures mean."""


def page() -> str:
    """Return the page's text."""
    parts = [INTRODUCTION]
    for name, title in TITLES.items():
        path = OUT / f"{name}.json"
        if path.exists():
            parts.append(_section(name, title, json.loads(path.read_text(encoding="utf-8"))))
    return "\n".join(parts)


def _section(name: str, title: str, results: list[dict[str, Any]]) -> str:
    lines = [f"## {title}", "", f"`make bench-{name}`, on {results[0]['machine']}.", ""]
    if name in NOTES:
        lines += [NOTES[name]]
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

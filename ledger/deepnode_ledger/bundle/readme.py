"""``README.md`` of a bundle: how to check it by hand, with tools that are not ours.

The text is ``readme.md`` beside this file, filled in from the list alone: it is the same whenever a bundle is made.
Its programs are run by a test.
"""

import re
from importlib.resources import files
from typing import Final

from deepnode_ledger.bundle.contents import Contents

_SIGNED: Final = re.compile(r"<!-- signed -->\n(.*?)<!-- /signed -->\n", re.DOTALL)


def text(contents: Contents) -> str:
    """Return the text; ``contents.files`` are not looked at."""
    size = contents.checkpoint_size
    last = {each.chain_id: f"blocks {each.first_block} to {each.last_block}, the last one is `{each.last_hash}`"
            for each in contents.chains if each.last_block is not None}  # fmt: skip
    filled_in = {
        "entries": str(contents.entries),
        "root": contents.root,
        "to": contents.to,
        "signed": "nothing: nobody has signed this log" if size is None else f"a tree of {size} entries",
        "manifest": contents.manifest,
        "chains": "".join(f"| chain {chain_id} | {blocks} |\n" for chain_id, blocks in last.items()),
        "epochs": f"{contents.epochs[0].epoch} to {contents.epochs[-1].epoch}" if contents.epochs else "none",
    }
    template = files("deepnode_ledger.bundle").joinpath("readme.md").read_text("utf-8")
    found = _SIGNED.sub("" if size is None else r"\1", template)
    for name, value in filled_in.items():
        found = found.replace(f"@{name}@", value)
    return found

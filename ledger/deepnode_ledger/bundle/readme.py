"""``README.md`` of a bundle: how to check it by hand, with tools that are not ours."""

from typing import Final

from deepnode_ledger.bundle.contents import Contents

_TEXT: Final = """\
# A bundle of the DeepNode Ledger

The sealed log up to position {entries}, with what is needed to check it. The list of files is `bundle.json`.
"""


def text(contents: Contents) -> str:
    """Return the text, which follows from the list alone."""
    return _TEXT.format(entries=contents.entries)

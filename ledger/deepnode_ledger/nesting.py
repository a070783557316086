"""How deep a JSON text nests, told without parsing it.

Parsers recurse. One that is given 60 000 opening brackets by a stranger may end the whole process, and an error that
it raises comes too late to rely on. So the depth is bounded before any parser sees the text.
"""

import re
from typing import Final

from deepnode_ledger.errors import BadInput

DEPTH_MAX: Final = 64

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


def check_depth(text: bytes, *, what: str) -> None:
    """Check that objects and arrays nest no deeper than ``DEPTH_MAX``. Whether the text is JSON is not asked.

    Raises:
        BadInput: they do; ``what`` names the text in the message.
    """
    if text.count(b"[") + text.count(b"{") <= DEPTH_MAX:
        return
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", text)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > DEPTH_MAX:
            raise BadInput(f"{what} nests deeper than {DEPTH_MAX} levels")

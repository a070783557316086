"""Columns of hexadecimal text as bytes and numbers, all at once.

JSON-RPC writes everything as 0x and digits. A column of such texts is joined, checked by its lengths and its first
characters, and turned into bytes by one call. Where that fails, the texts are read one by one, which finds the one at
fault and names it; so the quick way and the slow one accept the same.
"""

import binascii
import re
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex
from deepnode_ledger.record import DATA_BYTES_MAX

_QUANTITY: Final = re.compile("0x[0-9a-fA-F]{1,16}")


def quantity(text: object) -> int:
    """Read a JSON-RPC quantity: 0x and digits, at most 2**63 - 1, which is all that blocks and indexes need.

    Raises:
        BadInput: it is none.
    """
    value = int(text, 16) if isinstance(text, str) and _QUANTITY.fullmatch(text) else -1
    if not 0 <= value < 2**63:
        raise BadInput(f"{text!r:.80} is no quantity")
    return value


class Quantities(dict[str, int]):
    """Reads each text once: most logs share their block and have small indexes. Threads may share one.

    It keeps at most ``KEPT_MAX`` texts: beyond that it begins anew, so that no node can fill the memory.
    """

    KEPT_MAX: Final = 65_536

    def __missing__(self, text: str) -> int:
        value = quantity(text)
        if len(self) >= self.KEPT_MAX:
            self.clear()
        self[text] = value
        return value


def words(texts: list[str], length_bytes: int) -> NDArray[np.uint8]:
    """Turn texts of 0x and digits into rows of bytes, all of one length.

    Raises:
        BadInput: one of them is not so.
    """
    width = 2 * length_bytes + 3
    try:
        # The commas stand where each text must end, so one look at three columns checks every length.
        grid = np.frombuffer((",".join(texts) + ",").encode("ascii"), np.uint8)
        if texts and grid.size == len(texts) * width:
            grid = grid.reshape(len(texts), width)
            if (grid[:, [0, 1, -1]] == (0x30, 0x78, 0x2C)).all():
                octets = binascii.unhexlify(grid[:, 2:-1].tobytes())
                return np.frombuffer(octets, np.uint8).reshape(len(texts), length_bytes)
    except (UnicodeEncodeError, binascii.Error):
        pass
    # Read them one by one to name the one at fault; an empty list gives no rows.
    return np.frombuffer(b"".join([from_hex(text, length_bytes) for text in texts]), np.uint8).reshape(-1, length_bytes)


def data_array(texts: list[str]) -> pa.Array:
    """Turn texts of 0x and any even number of digits into one binary array.

    Raises:
        BadInput: one of them is not so, or is longer than data may be.
    """
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    if lengths.max() > 2 + 2 * DATA_BYTES_MAX:
        raise BadInput(f"it has {lengths.max()} digits of data")
    if lengths.min() == lengths.max():
        # Logs of one event mostly have data of one length, for which there is the quicker way.
        octets = words(texts, max(int(lengths[0]) - 2, 0) // 2).tobytes()
    else:
        octets = _ragged(texts, lengths)
    offsets = np.zeros(len(texts) + 1, np.int32)
    np.cumsum((lengths - 2) // 2, out=offsets[1:])
    return pa.Array.from_buffers(pa.binary(), len(texts), [None, pa.py_buffer(offsets), pa.py_buffer(octets)])


def _ragged(texts: list[str], lengths: NDArray[np.int64]) -> bytes:
    try:
        written = "".join(texts).encode("ascii")
        starts = np.cumsum(lengths) - lengths
        if lengths.min() >= 2 and not (lengths & 1).any():
            characters = np.frombuffer(written, np.uint8)
            if (characters[starts] == 0x30).all() and (characters[starts + 1] == 0x78).all():
                # Any other x makes this longer than it may be, or is refused as a digit.
                digits = written.replace(b"0x", b"")
                if len(digits) == len(written) - 2 * len(texts):
                    return binascii.unhexlify(digits)
    except (UnicodeEncodeError, binascii.Error):
        pass
    return b"".join([from_hex(text) for text in texts])


def fixed_array(rows: NDArray[np.uint8], present: NDArray[np.bool_] | None = None) -> pa.Array:
    """Give rows of bytes to Arrow, null where they are not ``present``."""
    validity = None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
    octets = pa.py_buffer(np.ascontiguousarray(rows))
    return pa.Array.from_buffers(pa.binary(rows.shape[1]), len(rows), [validity, octets])

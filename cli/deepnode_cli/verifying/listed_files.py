"""The stage ``files``: every file of bundle.json is there, as long and with the SHA-256 that it says, and no other is.

All else is read from these files. Who changes one must change bundle.json as well, and what that says is then measured
by the signature, by the chain and by the rules.
"""

from collections.abc import Iterator
from typing import Final

from deepnode_cli.verifying.finding import Examination, Finding, Severity
from deepnode_ledger.bundle import Bundle
from deepnode_ledger.errors import BadInput, Damaged

STAGE: Final = "files"

PIECE_BYTES: Final = 16 * 1024 * 1024
"""Small files are looked at together up to here: a piece costs a message to another process."""

Names = tuple[str, ...]
Faults = list[tuple[str, str]]


def listed_files(examination: Examination) -> Iterator[Finding]:
    """Compare every file with the list."""
    bundle = examination.bundle
    sizes = {each.path: each.bytes for each in bundle.contents.files}
    examination.total(sum(sizes.values()), "bytes")
    order = list(_pieces(sizes))
    for names, faults in zip(order, examination.each(check_files, order, list), strict=True):
        examination.done(sum(sizes[name] for name in names))
        examination.count("files", len(names))
        examination.count("bytes", sum(sizes[name] for name in names))
        for name, said in faults:
            yield Finding(Severity.ERROR, STAGE, name, said)
    try:
        for name in bundle.unlisted():
            shown = name.encode("utf-8", "backslashreplace").decode()[:200]
            yield Finding(Severity.ERROR, STAGE, shown, "it is in the bundle, and bundle.json does not list it")
    except (Damaged, OSError) as error:
        yield Finding(Severity.ERROR, STAGE, "bundle.json", f"what else there is could not be listed: {error}")


def check_files(bundle: Bundle, names: Names) -> Faults:
    """Compare some files with the list: the name and what is wrong of each that differs."""
    faults = []
    for name in names:
        try:
            bundle.check(name)
        except (BadInput, OSError) as error:
            faults.append((name, str(error)))
    return faults


def _pieces(sizes: dict[str, int]) -> Iterator[Names]:
    held: list[str] = []
    weight = 0
    for name, size in sizes.items():
        held.append(name)
        weight += size
        if weight >= PIECE_BYTES or len(held) >= 256:
            yield tuple(held)
            held, weight = [], 0
    if held:
        yield tuple(held)

"""Kinds of tampering: what a forger does with a seed, and where it has to be found.

A plain change leaves ``bundle.json`` as it is, so the files' hashes tell. Behind it stand those with the hash made
anew: then what the file says is wrong by itself, by the tree, by the chain's evidence, by the rules, or it is not what
was signed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import msgspec
import pyarrow as pa

from deepnode_ledger.record import Kind
from deepnode_ledger.transparency import Signer
from tests.cli.verifying.evidenced import write_evidence
from tests.cli.verifying.forger import LIST, LOG, Forger, altered, arranged, flipped, logs_with_data, other_value

STRANGER: Final = Signer.generate("log.example/deepnode")


@dataclass(frozen=True)
class Found:
    """Where a finding must point: one of these files or things, or a position."""

    places: frozenset[str] = frozenset()
    position: int | None = None


def at(*places: str, position: int | None = None) -> Found:
    """Say where a finding must point."""
    return Found(frozenset(places), position)


Forge = Callable[[Forger, Random], Found]


@dataclass(frozen=True)
class Tampering:
    """A kind: its name, how many seeds of it are tried, the stages that decide, and what is done."""

    name: str
    seeds: int
    stages: tuple[str, ...]
    forge: Forge


def a_byte(forger: Forger, rng: Random) -> Found:
    """One byte of any file but the list."""
    name = rng.choice([name for name in forger.names if name != LIST and forger.original(name)])
    data = forger.original(name)
    forger.put(name, flipped(data, rng.randrange(len(data)), 1 << rng.randrange(8)))
    return at(name)


def a_length(forger: Forger, rng: Random) -> Found:
    """A file that was cut off, or has bytes behind its end."""
    name = rng.choice(forger.names[1:])
    data = forger.original(name)
    forger.put(name, data[: rng.randrange(len(data))] if rng.random() < 0.5 else data + rng.randbytes(3))
    return at(name)


def a_missing_file(forger: Forger, rng: Random) -> Found:
    """A file that is gone."""
    name = rng.choice(forger.names[1:])
    forger.put(name, None)
    return at(name)


def a_stranger_file(forger: Forger, rng: Random) -> Found:
    """A file that nobody lists."""
    name = rng.choice(["tile/0/001", "evidence/headers-000009.arrow", "log/000/000/001.arrow", "x", "rulesets/y.toml"])
    forger.put(name, rng.randbytes(rng.randrange(40)))
    return at(name)


def exchanged_files(forger: Forger, rng: Random) -> Found:
    """Two files in each other's places."""
    one, other = rng.sample(forger.names[1:], 2)
    forger.put(one, forger.original(other))
    forger.put(other, forger.original(one))
    return at(one, other)


def the_list(forger: Forger, rng: Random) -> Found:
    """One byte of ``bundle.json``: found at what it speaks of there."""
    data = forger.original(LIST)
    changed = flipped(data, rng.randrange(len(data) - 1), 1 << rng.randrange(7))
    forger.put(LIST, changed)
    return at(*_spoken_of(data, changed))


def an_entry_dropped(forger: Forger, rng: Random) -> Found:
    """An entry left out, the rest moved up; the last comes twice so that the number is right."""
    rows = list(range(forger.entries.num_rows))
    row = rng.randrange(len(rows) - 1)
    forger.put_entries(arranged(forger.entries, [*rows[:row], *rows[row + 1 :], rows[-1]]))
    return at(position=row + 1)


def an_entry_missing(forger: Forger, rng: Random) -> Found:
    """An entry left out: there is one less, or a hole."""
    rows = list(range(forger.entries.num_rows))
    row = rng.randrange(len(rows))
    kept = [*rows[:row], *rows[row + 1 :]]
    forger.put_entries(arranged(forger.entries, kept) if rng.random() < 0.5 else forger.entries.take(pa.array(kept)))
    return at(LOG)


def entries_swapped(forger: Forger, rng: Random) -> Found:
    """Two entries in each other's places."""
    rows = list(range(forger.entries.num_rows))
    one, other = sorted(rng.sample(rows, 2))
    rows[one], rows[other] = rows[other], rows[one]
    forger.put_entries(arranged(forger.entries, rows))
    return at(position=one + 1)


def an_entry_doubled(forger: Forger, rng: Random) -> Found:
    """An entry in the place of another one too."""
    rows = list(range(forger.entries.num_rows))
    one, other = rng.sample(rows, 2)
    rows[other] = one
    forger.put_entries(arranged(forger.entries, rows))
    return at(position=other + 1)


def an_altered_cell(forger: Forger, rng: Random) -> Found:
    """One value of one entry: an amount, a topic, a signature, a block …"""
    row = rng.randrange(forger.entries.num_rows)
    forger.put_entries(altered(forger.entries, row, rng))
    return at(position=row + 1)


def a_tile(forger: Forger, rng: Random) -> Found:
    """One byte of a hash tile, listed as it is now."""
    name = rng.choice(forger.named("tile/"))
    data = forger.original(name)
    forger.put(name, flipped(data, rng.randrange(len(data)), 1 << rng.randrange(8)))
    forger.relist()
    return at(name)


def the_checkpoint(forger: Forger, rng: Random) -> Found:
    """One byte of the signed note, listed as it is now."""
    data = forger.original("checkpoint")
    forger.put("checkpoint", flipped(data, rng.randrange(len(data)), 1 << rng.randrange(8)))
    forger.relist()
    return at("checkpoint")


def the_key(forger: Forger, rng: Random) -> Found:
    """Another key, or one byte of it."""
    data = forger.original("checkpoint.key")
    other = f"{STRANGER.verifier}\n".encode()
    forger.put("checkpoint.key", other if rng.random() < 0.3 else flipped(data, rng.randrange(len(data) - 1)))
    forger.relist()
    return at("checkpoint.key")


def the_proof(forger: Forger, rng: Random) -> Found:
    """A consistency proof with another hash, or of other sizes."""
    said = msgspec.json.decode(forger.original("consistency.json"))
    said[rng.choice(["from", "to"])] += rng.randrange(1, 9)
    if rng.random() < 0.5:
        said = msgspec.json.decode(forger.original("consistency.json"))
        said["hashes"].append(msgspec.to_builtins(rng.randbytes(32)))
    forger.put("consistency.json", msgspec.json.encode(said, order="sorted") + b"\n")
    forger.relist()
    return at("consistency.json")


def a_state_root(forger: Forger, rng: Random) -> Found:
    """Another state root, or another end of an epoch."""
    epochs = list(forger.contents.epochs)
    number = rng.randrange(len(epochs))
    if rng.random() < 0.7:
        epochs[number] = msgspec.structs.replace(epochs[number], root=f"0x{rng.randbytes(32).hex()}")
    else:
        epochs[number] = msgspec.structs.replace(epochs[number], position=epochs[number].position - 1)
    forger.relist(epochs=tuple(epochs))
    return at(f"epoch {epochs[number].epoch}")


def a_ruleset(forger: Forger, rng: Random) -> Found:
    """Another value in a ruleset, listed as it is now."""
    name = rng.choice(forger.named("rulesets/"))
    forger.put(name, other_value(forger.original(name), rng))
    forger.relist()
    return at(name)


def the_manifest(forger: Forger, rng: Random) -> Found:
    """Another start, kind of decimals, address or producer's key in the manifest, listed as it is now."""
    name = "manifest/manifest.toml"
    text = forger.original(name).decode()
    mark = rng.choice(["\nstart_block = ", "\ndecimals = ", '\naddress = "0x', '\nkey = "0x', "\nid = "])
    places = [place + len(mark) for place in range(len(text)) if text.startswith(mark, place)]
    place = rng.choice(places)
    where = place + 1 if mark.endswith("0x") else place
    other = rng.choice([d for d in "123456789" if d != text[where]])
    forger.put(name, (text[:where] + other + text[where + 1 :]).encode())
    forger.relist()
    return at(name)


def the_coverage(forger: Forger, rng: Random) -> Found:
    """Another range, hash or kind of evidence in ``coverage.json``, listed as it is now."""
    said = msgspec.json.decode(forger.original("coverage.json"))
    row = rng.choice(said["coverage"])
    match rng.randrange(5):
        case 0:
            row["first_block"] += rng.randrange(1, 5)
        case 1:
            row["last_block"] += rng.choice([-1, 1])
        case 2:
            row["last_hash"] = f"0x{rng.randbytes(32).hex()}"
        case 3:
            row["evidence"] = rng.choice(["hearsay", "receipts+bloom", "end-header+agreement"])
        case _:
            said["evidence"][rng.randrange(len(said["evidence"]))]["kind"] = "hearsay"
    forger.put("coverage.json", msgspec.json.encode(said, order="sorted") + b"\n")
    forger.relist()
    return at("coverage.json")


def a_header(forger: Forger, rng: Random) -> Found:
    """One byte of a block's header, or its hash, listed as it is now."""
    name = "evidence/headers-000000.arrow"
    rows = _rows(forger, name)
    row = rng.choice(rows)
    field = rng.choice(["rlp", "hash"])
    row[field] = flipped(row[field], rng.randrange(len(row[field])), 1 << rng.randrange(8))
    _put_rows(forger, name, rows)
    return at(name, f"block {row['chain_id']}:{row['number']}", f"block {row['chain_id']}:{row['number'] + 1}")


def a_receipt(forger: Forger, rng: Random) -> Found:
    """One byte of a receipt, or a receipt left out, listed as it is now."""
    name = "evidence/receipts-000000.arrow"
    rows = _rows(forger, name)
    row = rng.choice(rows)
    if rng.random() < 0.7:
        row["receipt"] = flipped(row["receipt"], rng.randrange(len(row["receipt"])), 1 << rng.randrange(8))
    else:
        rows.remove(row)
    _put_rows(forger, name, rows)
    return at(name, f"block {row['chain_id']}:{row['number']}")


def all_but_the_signature(forger: Forger, rng: Random) -> Found:
    """Other entries, with log file, tiles, roots and list made anew: the signed tree is another one."""
    rows = list(range(forger.entries.num_rows))
    row = rng.choice(logs_with_data(forger.entries))
    match rng.randrange(3):
        case 0:
            entries = altered(forger.entries, row, rng, columns=("data", "topic1", "address"))
        case 1:
            entries = arranged(forger.entries, [*rows[:row], *rows[row + 1 :]])
        case _:
            entries = arranged(forger.entries, [*rows[: row + 1], *rows[row:]])
    # He would have to say that more was signed than was: the size stays, or nothing fits at all.
    size = max(entries.num_rows, forger.contents.checkpoint_size or 0)
    forger.rehash(entries, checkpoint_size=size)
    return at("checkpoint", "consistency.json")


def a_forged_log(forger: Forger, rng: Random) -> Found:
    """An altered amount of a transfer with everything made anew: the receipts say otherwise, and where."""
    row = rng.choice(logs_with_data(forger.entries))
    forger.rehash(altered(forger.entries, row, rng, columns=("data",)))
    return at(position=row + 1)


def a_forged_statement(forger: Forger, rng: Random) -> Found:
    """A task event with another payload, number or signature, with everything made anew: its signature tells."""
    tasks = [row for row, kind in enumerate(forger.entries.column("kind").to_pylist()) if kind == Kind.TASK_EVENT]
    row = rng.choice(tasks)
    column = rng.choice(["signature", "sequence", "event_id", "event_type"])
    forger.rehash(altered(forger.entries, row, rng, columns=(column,)))
    return at(position=row + 1)


def a_stranger_signs(forger: Forger, rng: Random) -> Found:
    """Everything made anew, and signed with a key of the forger's own under the same name."""
    from deepnode_ledger.transparency import TreeHead, sign_head

    row = rng.choice(logs_with_data(forger.entries))
    forger.rehash(altered(forger.entries, row, rng, columns=("data",)))
    with_list = msgspec.json.decode((forger.path / LIST).read_bytes())
    root = bytes.fromhex(with_list["root"][2:])
    head = TreeHead("log.example/deepnode", forger.entries.num_rows, root)
    forger.put("checkpoint", str(sign_head(head, [STRANGER])).encode())
    forger.put("checkpoint.key", f"{STRANGER.verifier}\n".encode())
    forger.relist(root=with_list["root"])
    return at("checkpoint")


_FILES: Final = ("files",)
_TREE: Final = ("files", "entries")

KINDS: Final = (
    Tampering("a byte", 100, _FILES, a_byte),
    Tampering("a length", 20, _FILES, a_length),
    Tampering("a missing file", 15, _FILES, a_missing_file),
    Tampering("a stranger file", 5, _FILES, a_stranger_file),
    Tampering("exchanged files", 10, _FILES, exchanged_files),
    Tampering("the list", 24, ("files", "contents", "checkpoint", "entries", "coverage", "replay"), the_list),
    Tampering("an entry dropped", 8, _TREE, an_entry_dropped),
    Tampering("an entry missing", 6, _TREE, an_entry_missing),
    Tampering("entries swapped", 8, _TREE, entries_swapped),
    Tampering("an entry doubled", 8, _TREE, an_entry_doubled),
    Tampering("an altered cell", 32, _TREE, an_altered_cell),
    Tampering("a tile", 10, _TREE, a_tile),
    Tampering("the checkpoint", 16, ("files", "checkpoint"), the_checkpoint),
    Tampering("the key", 6, ("files", "checkpoint"), the_key),
    Tampering("the proof", 6, ("files", "checkpoint"), the_proof),
    Tampering("a state root", 4, ("replay",), a_state_root),
    Tampering("a ruleset", 8, ("contents",), a_ruleset),
    Tampering("the manifest", 10, ("contents",), the_manifest),
    Tampering("the coverage", 12, ("files", "coverage"), the_coverage),
    Tampering("a header", 8, ("chain evidence",), a_header),
    Tampering("a receipt", 6, ("chain evidence",), a_receipt),
    Tampering("all but the signature", 12, ("files", "checkpoint"), all_but_the_signature),
    Tampering("a forged log", 3, ("chain evidence",), a_forged_log),
    Tampering("a forged statement", 3, ("statements",), a_forged_statement),
    Tampering("a stranger signs", 4, ("files", "checkpoint"), a_stranger_signs),
)


def _rows(forger: Forger, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pa.ipc.open_file(pa.py_buffer(forger.original(name))).read_all().to_pylist()
    return rows


def _put_rows(forger: Forger, name: str, rows: list[dict[str, Any]]) -> None:
    forger.put(name, b"")
    write_evidence(forger.path / name, rows)
    forger.relist()


def _spoken_of(before: bytes, after: bytes) -> set[str]:
    """What a changed list speaks of where it differs; the list itself always."""
    places = {LIST}
    try:
        old, new = msgspec.json.decode(before), msgspec.json.decode(after)
    except (msgspec.MsgspecError, UnicodeError):
        return places
    if old.get("manifest") != new.get("manifest"):
        places.add("manifest/manifest.toml")
    if old.get("checkpoint_size") != new.get("checkpoint_size"):
        places |= {"checkpoint", "consistency.json"}
    if old.get("root") != new.get("root"):
        places |= {"consistency.json"}
    if old.get("chains") != new.get("chains"):
        places |= {"coverage.json"}
    for one, other in zip(old.get("files", []), new.get("files", []), strict=False):
        if one != other:
            places |= {str(one.get("path")), str(other.get("path"))}
    for one, other in zip(old.get("epochs", []), new.get("epochs", []), strict=False):
        if one != other:
            places |= {f"epoch {one.get('epoch')}", f"epoch {other.get('epoch')}"}
    return places

"""A bundle from a stranger: whatever it holds, it is refused in words, reaches nothing outside, and takes no memory."""

import contextlib
import hashlib
import io
import json
import os
import random
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pytest

from deepnode_ledger.batch_versions import SCHEMA
from deepnode_ledger.bundle import contents, layout, open_bundle, tar
from deepnode_ledger.errors import BadInput, Damaged
from tests.conftest import fresh_database
from tests.ledger.bundle.bundles import content, small_bundle
from tests.ledger.signed_log import write

LOG = layout.log_path(0)


@dataclass
class Case:
    """The files of a good bundle, to be changed and written anew."""

    files: dict[str, bytes]
    folder: Path

    def listed(self) -> dict[str, Any]:
        """The list, as plain JSON."""
        found: dict[str, Any] = json.loads(self.files[layout.CONTENTS])
        return found

    def with_list(self, raw: bytes) -> Path:
        """A bundle with another list."""
        return self.with_files({layout.CONTENTS: raw})

    def with_files(self, changed: dict[str, bytes]) -> Path:
        """A bundle with other files."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        for name, data in (self.files | changed).items():
            write(folder / name, data)
        return folder


@pytest.fixture(scope="module")
def case(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """A good bundle, whose end is not signed by itself."""
    folder = tmp_path_factory.mktemp("hostile")
    with fresh_database(postgres_url) as url, small_bundle(url, folder, behind=4) as bundle:
        yield Case(content(bundle.path), folder)


def spelled(listed: dict[str, Any]) -> bytes:
    """A list in its one spelling."""
    return json.dumps(listed, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def relisted(case: Case, name: str, data: bytes) -> Path:
    """A bundle with another file, whose list says that it is right."""
    listed = case.listed()
    for part in listed["files"]:
        if part["path"] == name:
            part |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return case.with_files({name: data, layout.CONTENTS: spelled(listed)})


def _of_files(change: Callable[[list[dict[str, Any]]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda listed: change(listed["files"])


def _named(name: str) -> Callable[[dict[str, Any]], object]:
    return _of_files(lambda files: files.insert(0, {"path": name, "bytes": 1, "sha256": "0" * 64}))


LISTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "out of the directory": _named("../secret"),
    "out of the directory in the middle": _named("manifest/../../secret"),
    "an absolute path": _named("/etc/passwd"),
    "a hidden file": _named("manifest/.ssh"),
    "a name with a zero byte": _named("manifest/a\0b"),
    "a backslash": _named("manifest\\a.json"),
    "a name of another spelling": _named("tile/0/x000/000"),
    "an entry bundle": _named("tile/entries/000"),
    "the list itself": _named("bundle.json"),
    "a long name": _named("manifest/" + "a" * 60 + "/" + "b" * 60),
    "a name twice": _of_files(lambda files: files.insert(1, files[0])),
    "names in another order": _of_files(lambda files: files.reverse()),
    "no log file": _of_files(lambda files: files.remove(next(f for f in files if f["path"] == LOG))),
    "a tile too few": _of_files(lambda files: files.remove(next(f for f in files if f["path"].startswith("tile/0/")))),
    "a negative size": _of_files(lambda files: files[0].update(bytes=-1)),
    "a size beyond numbers": _of_files(lambda files: files[0].update(bytes=2**64)),
    "a hash in capitals": _of_files(lambda files: files[0].update(sha256="A" * 64)),
    "an unknown field of a file": _of_files(lambda files: files[0].update(mode=0o4755)),
    "an unknown field": lambda listed: listed.update(more=1),
    "a missing field": lambda listed: listed.pop("root"),
    "no entries": lambda listed: listed.update(entries=0),
    "more entries than files": lambda listed: listed.update(entries=2**62, checkpoint_size=2**62),
    "a checkpoint before its end": lambda listed: listed.update(checkpoint_size=1),
    "no checkpoint, and its files": lambda listed: listed.update(checkpoint_size=None),
    "another place": lambda listed: listed.update(to="everything"),
    "an epoch behind its end": lambda listed: listed.update(
        epochs=[{"epoch": 1, "position": 999, "root": listed["root"]}]
    ),
    "epochs in another order": lambda listed: listed.update(
        epochs=[{"epoch": n, "position": 5, "root": listed["root"]} for n in (2, 1)]
    ),
    "another home chain": lambda listed: listed.update(chain_id=1),
    "a number as a text": lambda listed: listed.update(entries="356"),
    "an inexact number": lambda listed: listed.update(entries=356.0),
}  # fmt: skip


@pytest.mark.parametrize("what", LISTS)
def test_a_list_that_no_bundle_has_is_refused(case: Case, what: str) -> None:
    """Changes the list in one place, and spells it as a bundle does: it is refused in words that name it."""
    listed = case.listed()
    LISTS[what](listed)
    with pytest.raises(Damaged, match=r"bundle\.json"):
        open_bundle(case.with_list(spelled(listed)))


def test_a_list_has_one_spelling(case: Case) -> None:
    """White space, another order, a number written otherwise, bytes behind it, and what is no JSON at all."""
    good = case.files[layout.CONTENTS]
    open_bundle(case.with_list(good)).close()
    listed = case.listed()
    other = [
        json.dumps(listed, sort_keys=True).encode() + b"\n",
        json.dumps(dict(reversed(listed.items())), separators=(",", ":")).encode() + b"\n",
        good[:-1], good + b"\n", b"\xef\xbb\xbf" + good, good[: len(good) // 2], b"", b"[]", b"null", b"\xff" * 9,
        good.replace(b'"entries":356', b'"entries":356,"entries":356'),
        b"[" * 100_000, b'{"a":' * 100_000,
    ]  # fmt: skip
    for raw in other:
        with pytest.raises(Damaged, match=r"bundle\.json"):
            open_bundle(case.with_list(raw))
    with pytest.raises(BadInput, match=r"is of the format 'deepnode\.bundle/2'"):
        open_bundle(case.with_list(good.replace(b"bundle/1", b"bundle/2")))


def test_any_byte_of_the_list_can_be_wrong(case: Case) -> None:
    """Changes 400 bytes at random, one at a time: nothing but our two errors comes out."""
    good = case.files[layout.CONTENTS]
    chance = random.Random(7)
    for _ in range(400):
        raw = bytearray(good)
        raw[chance.randrange(len(raw))] = chance.randrange(256)
        with contextlib.suppress(BadInput, Damaged):
            contents.decode(bytes(raw))


def test_no_link_is_followed_and_nothing_but_files_is_read(case: Case) -> None:
    """A link in the place of a file, of a folder, and of the list; a pipe; a folder: none is opened."""
    for name in (LOG, layout.COVERAGE):
        folder = case.with_files({})
        (folder / name).rename(folder / "moved")
        (folder / name).symlink_to(folder / "moved")
        with open_bundle(folder) as bundle:
            with pytest.raises(Damaged, match=f"{name} cannot be read"):
                bundle.read(name)
            with pytest.raises(Damaged, match="is no plain file"):
                list(bundle.unlisted())
    folder = case.with_files({})
    (folder / "log").rename(folder.parent / f"{folder.name}-log")
    (folder / "log").symlink_to(folder.parent / f"{folder.name}-log")
    with open_bundle(folder) as bundle, pytest.raises(Damaged, match="cannot be read"):
        list(bundle.batches())
    for make in (os.mkfifo, os.mkdir):
        folder = case.with_files({})
        (folder / layout.COVERAGE).unlink()
        make(folder / layout.COVERAGE)
        with open_bundle(folder) as bundle, pytest.raises(Damaged, match=r"is no plain file|cannot be read"):
            bundle.read(layout.COVERAGE)
    folder = case.with_files({})
    (folder / layout.CONTENTS).rename(folder / "moved")
    (folder / layout.CONTENTS).symlink_to(folder / "moved")
    with pytest.raises(BadInput, match="is no bundle"):
        open_bundle(folder)


def test_a_manifest_reaches_no_file_outside(case: Case) -> None:
    """Names an ABI by an absolute path, above the folder, and by a name that is not listed."""
    text = case.files[layout.MANIFEST].decode()
    secret = case.folder / "Secret.json"
    secret.write_bytes(case.files["manifest/abi/Token.json"])
    for name in (str(secret), "../../Secret.json", "abi/../../../Secret.json", "abi/Other.json", ""):
        folder = relisted(case, layout.MANIFEST, text.replace("abi/Token.json", name).encode())
        with open_bundle(folder) as bundle, pytest.raises(Damaged, match="which is not in the bundle"):
            bundle.manifest()
    folder = relisted(case, layout.MANIFEST, text.replace("decimals = 18", "decimals = 6").encode())
    with open_bundle(folder) as bundle, pytest.raises(Damaged, match="has the digest"):
        bundle.manifest()


def test_bytes_that_are_not_the_listed_ones_are_found(case: Case) -> None:
    """Changes, shortens, lengthens and removes each file: reading and checking it names it."""
    names = sorted(set(case.files) - {layout.CONTENTS})
    for name in names:
        data = case.files[name]
        for changed in (data[:-1] + bytes([data[-1] ^ 1]), data[:-1], data + b"\0"):
            with open_bundle(case.with_files({name: changed})) as bundle:
                for look in (bundle.check, bundle.read):
                    with pytest.raises(Damaged, match=name):
                        look(name)
        folder = case.with_files({"manifest/more.json": b"{}"})
        (folder / name).unlink()
        with open_bundle(folder) as bundle:
            assert list(bundle.unlisted()) == ["manifest/more.json"]
            with pytest.raises(Damaged, match=name):
                bundle.check(name)
    with open_bundle(case.with_files({})) as bundle:
        for absent in ("../secret", "log", "bundle.json"):
            with pytest.raises(BadInput, match="lists no file"):
                bundle.read(absent)
        with pytest.raises(BadInput, match="of 10 at most"):
            bundle.read(LOG, 10)


def in_tar(files: dict[str, bytes]) -> bytes:
    """A bundle's tar, as it is written here."""
    made = io.BytesIO()
    tar.write(made, [(name, len(data), partial(list, [data])) for name, data in sorted(files.items())])
    return made.getvalue()


def test_a_tar_is_the_directory_and_what_tar_itself_makes(case: Case) -> None:
    """Reads every file in place; Python's own tarfile reads the same, and writes the same bytes."""
    raw = in_tar(case.files)
    path = case.folder / "good.tar"
    path.write_bytes(raw)
    with open_bundle(path) as packed, open_bundle(case.with_files({})) as folder:
        assert packed.contents == folder.contents
        assert [packed.read(name) for name in packed.names()] == [folder.read(name) for name in folder.names()]
        assert list(packed.batches()) == list(folder.batches())
        assert packed.manifest() == folder.manifest()
        assert list(packed.unlisted()) == []
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as theirs:
        for name, data in sorted(case.files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            theirs.addfile(member, io.BytesIO(data))
    assert made.getvalue() == raw
    with tarfile.open(path) as theirs:
        assert {each.name: theirs.extractfile(each).read() for each in theirs} == case.files  # type: ignore[union-attr] # files alone


def test_a_tar_with_anything_else_is_refused(case: Case) -> None:
    """Links, folders, sparse files, long names, duplicates, other orders, sizes behind the end, rubbish at the end."""
    good = in_tar(case.files)

    def refused(raw: bytes, why: str = ".") -> None:
        path = case.folder / "bad.tar"
        path.write_bytes(raw)
        with pytest.raises((Damaged, BadInput), match=why):
            open_bundle(path)

    def member(**fields: Any) -> bytes:
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w", format=fields.pop("format", tarfile.USTAR_FORMAT)) as theirs:
            one = tarfile.TarInfo(fields.pop("name", "README.md"))
            for name, value in fields.items():
                setattr(one, name, value)
            theirs.addfile(one)
        return made.getvalue()[: -tar.RECORD] if len(made.getvalue()) > tar.RECORD else made.getvalue()[:512]

    kinds = (
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.DIRTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.GNUTYPE_SPARSE,
    )
    for kind in kinds:
        refused(member(type=kind, linkname="/etc/passwd") + good, "no plain file of a bundle at byte 0")
    for name in ("../secret", "/etc/passwd", "manifest/../../secret", "a" * 99, ".bashrc"):
        refused(member(name=name) + good, "no plain file of a bundle")
    refused(member(name="manifest/" + "a" * 200, format=tarfile.GNU_FORMAT) + good, "no plain file")
    refused(member(name="manifest/ü.json", format=tarfile.PAX_FORMAT) + good, "no plain file")
    refused(member(mode=0o4755) + good, "another header")
    refused(member(mtime=1) + good, "another header")
    refused(tar.header("README.md", 0) + good, "twice, or not in order")
    refused(tar.header("log/000/000/000.arrow", 0) + good, "twice, or not in order")
    for size in (len(good) + 1, 8 * 1024**3 - 1):
        refused(tar.header("README.md", size) + good, "cut off")
    refused(good[:-1], "a tar of a bundle ends at")
    refused(good + b"\0" * tar.RECORD, "a tar of a bundle ends at")
    refused(good[:-1] + b"\1", "a tar of a bundle ends at")
    refused(good[: len(good) // 2])
    refused(b"", "no plain file")
    refused(b"\x1f\x8b" + good, "no plain file")
    first = len(case.files["README.md"])
    refused(good[: 512 + first] + b"\1" + good[513 + first :], "is not followed by zeros")
    chance = random.Random(11)
    for _ in range(300):
        raw = bytearray(good)
        raw[chance.choice([chance.randrange(512), chance.randrange(len(raw))])] ^= 1 << chance.randrange(8)
        path = case.folder / "bad.tar"
        path.write_bytes(raw)
        try:
            with open_bundle(path) as bundle:
                for name in bundle.names():
                    bundle.check(name)
        except (BadInput, Damaged):
            continue
        raise AssertionError("a changed tar passed")


def test_entries_that_do_not_follow_one_another_are_refused(case: Case) -> None:
    """Entries dropped, doubled and moved in a log file whose hash the list knows."""
    table = pyarrow.ipc.open_file(pa.py_buffer(case.files[LOG])).read_all()
    first, last = table.slice(0, 100), table.slice(100)
    for pieces in (
        [first],
        [last],
        [first, last.slice(1)],
        [first, last, last.slice(last.num_rows - 1)],
        [last, first],
    ):
        made = io.BytesIO()
        with pyarrow.ipc.new_file(made, SCHEMA) as writer:
            for piece in pieces:
                writer.write_table(piece)
        changed = relisted(case, LOG, made.getvalue())
        with open_bundle(changed) as bundle, pytest.raises(Damaged, match=r"positions 1 to 356|ends at position"):
            list(bundle.batches())


def test_a_proof_of_other_trees_is_refused(case: Case) -> None:
    """Other sizes, another spelling and other types in consistency.json, whose hash the list knows."""
    good = case.files[layout.CONSISTENCY]
    for raw in (
        good.replace(b'"from":356', b'"from":355'),
        good + b"\n",
        b"{}",
        b"\xff",
        good.replace(b'"hashes":[', b'"hashes":[1,'),
    ):
        with (
            open_bundle(relisted(case, layout.CONSISTENCY, raw)) as bundle,
            pytest.raises(Damaged, match="consistency"),
        ):
            bundle.consistency()

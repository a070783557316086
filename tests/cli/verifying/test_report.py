"""The report of a verification: what it says, the same bytes every time, and a page that anyone can read."""

import html
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from deepnode_cli.verifying.finding import Finding, Outcome, Severity, StageOutcome
from deepnode_cli.verifying.report import LINE_CHARACTERS, identity, to_text, verdict
from deepnode_cli.verifying.report_html import to_html
from deepnode_cli.verifying.report_json import FORMAT, to_json
from tests.npm_judge import installed_judge

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202eevil\n&amp;\"'"
AMOUNT = 2**256 - 1

JUDGE = Path(__file__).parent / "page_judge"
BROWSER_SECONDS_MAX = 60


def stage(name: str, skipped: str = "", **numbers: int) -> StageOutcome:
    findings = {Severity[key]: number for key, number in numbers.items()}
    return StageOutcome(name, skipped, {"entries": 12, "signatures": 3}, findings, 1.25)


def outcome(*findings: Finding, **changes: Any) -> Outcome:
    """A verification with these findings, all of stage ``files``."""
    numbers = Counter(each.severity for each in findings)
    made = Outcome(
        bundle="bundle",
        bundle_sha256="ab" * 32,
        entries=12,
        root="0x" + "cd" * 32,
        origin="ledger.example",
        size=12,
        keys=("ledger.example+0a0b0c0d",),
        trusted=True,
        chains=((8453, 100, 200, "0x" + "ef" * 32),),
        against="",
        stages=(replace(stage("files"), findings=numbers), stage("chain evidence")),
        findings=findings,
        version="1.2.3",
    )
    return replace(made, **changes)


ERROR = Finding(
    Severity.ERROR,
    "files",
    "block 8453:123",
    "log 3 is altered",
    (5, 6),
    {"expected": AMOUNT, "found": AMOUNT - 2, "difference": -2},
)
WARNING = Finding(Severity.WARNING, "files", "checkpoint", "nobody cosigned it")
NOTE = Finding(Severity.NOTE, "files", "position 7", "a gap", tuple(range(1, 101)))


def test_the_verdict_comes_first_and_is_one_sentence() -> None:
    """Of a clean verification, one with warnings, one by its own key, one that is not whole, and a bad one."""
    cases = [
        (outcome(), "The bundle holds: everything in it is what it must be."),
        (outcome(NOTE), "The bundle holds: everything in it is what it must be."),
        (outcome(WARNING), "The bundle holds as far as it was checked: 1 warning."),
        (
            outcome(stages=(stage("files"), stage("replay", "--no-replay"), stage("against", "no --against"))),
            "The bundle holds as far as it was checked: not run: replay.",
        ),
        (
            outcome(trusted=False),
            "The bundle holds as far as it was checked: it vouches for itself, as no key of the log was brought.",
        ),
        (outcome(WARNING, ERROR, ERROR), "The bundle does NOT hold: 2 errors and 1 warning."),
    ]
    for made, sentence in cases:
        assert verdict(made) == sentence
        assert to_text(made).splitlines()[0] == sentence
        assert json.loads(to_json(made))["verdict"] == sentence
        assert html.escape(sentence) in to_html(made)


def test_findings_come_gravest_first_with_their_integers() -> None:
    """In each form, errors stand before warnings before notes, and integers of 256 bits are whole."""
    made = outcome(NOTE, WARNING, ERROR)
    text, page = to_text(made), to_html(made)
    for written in (text, page):
        places = [written.index(each.said) for each in (ERROR, WARNING, NOTE)]
        assert places == sorted(places)
        assert str(AMOUNT) in written
    told = json.loads(to_json(made))
    assert [each["severity"] for each in told["findings"]] == ["ERROR", "WARNING", "NOTE"]
    assert told["findings"][0]["integers"] == {
        "expected": str(AMOUNT),
        "found": str(AMOUNT - 2),
        "difference": "-2",
    }
    assert told["findings"][0]["positions"] == [5, 6]
    assert "1, 2, 3, 4, 5, 6, 7, 8 and 92 more" in text


def test_the_json_has_its_documented_fields() -> None:
    """Names and types of every field: a change of these is a new number in ``format``."""
    told = json.loads(to_json(outcome(ERROR)))
    assert told["format"] == FORMAT == "deepnode.verification/1"
    assert sorted(told) == [
        "against", "bundle", "counts", "findings", "format", "ok", "program", "stages", "untold", "verdict",
    ]  # fmt: skip
    assert sorted(told["bundle"]) == [
        "chains", "entries", "keys", "origin", "path", "root", "sha256", "size", "trusted",
    ]  # fmt: skip
    assert sorted(told["stages"][0]) == ["counted", "findings", "name", "skipped"]
    assert sorted(told["findings"][0]) == ["integers", "positions", "said", "severity", "stage", "where"]
    assert told["ok"] is False
    assert told["counts"] == {"NOTE": 0, "WARNING": 0, "ERROR": 1}
    assert told["bundle"]["chains"] == [
        {"chain_id": 8453, "first_block": 100, "last_block": 200, "last_hash": "0x" + "ef" * 32}
    ]
    assert to_json(outcome(ERROR)).count("\n") == 1


def test_the_docs_name_every_field_of_the_json() -> None:
    """docs/verify.md has each name in code letters."""
    page = (Path(__file__).parents[3] / "docs" / "verify.md").read_text()
    told = json.loads(to_json(outcome(ERROR), timings=True))
    parts = [told, told["bundle"], told["bundle"]["chains"][0], told["stages"][0], told["findings"][0]]
    missing = [name for part in parts for name in part if f"`{name}`" not in page]
    assert missing == []
    assert f"`{FORMAT}`" in page


def test_the_same_verification_gives_the_same_bytes() -> None:
    """Only the seconds differ between two runs: they are in no form unless they are asked for."""
    slow = replace(outcome(ERROR), stages=(replace(stage("files", ERROR=1), seconds=99.5), stage("chain evidence")))
    for write in (to_text, to_json, to_html):
        assert write(outcome(ERROR)) == write(slow)
    assert json.loads(to_json(slow, timings=True))["stages"][0]["seconds"] == 99.5
    assert "99.50" in to_text(slow, timings=True)


def test_comparisons_of_many_kinds_are_one_number_and_a_table() -> None:
    """A stage that counted sixty kinds: the text has their sum, the page a row each, the JSON all of them."""
    kinds = {f"Claimed: field {number}": number for number in range(1, 61)}
    made = outcome(stages=(replace(stage("replay"), counted={"entries": 12, **kinds}),))
    assert f"12 entries, {sum(kinds.values())} comparisons of 60 kinds" in to_text(made)
    assert '<th scope="row">Claimed: field 60</th><td class="number">60</td>' in to_html(made)
    assert json.loads(to_json(made))["stages"][0]["counted"] == {"entries": 12, **kinds}


def test_the_text_is_no_wider_than_a_terminal() -> None:
    """Long sentences and long lists are wrapped; only what has no blank in it may be longer."""
    long = replace(ERROR, said="the root of the epoch is another one " * 20)
    counts = {f"things of kind number {number}": number for number in range(20)}
    made = outcome(long, stages=(replace(stage("chain evidence", ERROR=1), counted=counts),))
    assert max(map(len, to_text(made).splitlines())) <= LINE_CHARACTERS


def test_a_terminal_is_told_what_it_can_take() -> None:
    """Only so many findings are written out, and the rest is counted, with those that were never kept."""
    many = outcome(*[ERROR] * 60)
    many = replace(many, stages=(stage("files", ERROR=5_000),))
    text = to_text(many, 50)
    assert text.count("log 3 is altered") == 50
    assert "and 4950 further findings" in text
    assert json.loads(to_json(many))["untold"] == 4_940


def test_words_of_a_bundle_are_shown_and_never_obeyed() -> None:
    """Markup, escape sequences, line feeds and a turn of the writing's direction, wherever a bundle can put them."""
    bad = Finding(Severity.ERROR, "files", HOSTILE, HOSTILE, (), {HOSTILE: 1})
    made = outcome(bad, bundle=HOSTILE, origin=HOSTILE, keys=(HOSTILE,), against=HOSTILE)
    made = replace(made, stages=(replace(stage("files", ERROR=1), counted={HOSTILE: 1}, skipped=HOSTILE),))
    text, page = to_text(made), to_html(made)
    for written in (text, page):
        assert "\x1b" not in written
        assert "\u202e" not in written
        assert "\\u{1b}" in written
    assert "<script" not in page
    assert json.loads(to_json(made))["findings"][0]["said"] == HOSTILE
    assert "\x1b" not in to_json(made)


def test_what_cannot_be_opened_has_a_report_too() -> None:
    """Nothing is known of the bundle but its path."""
    made = outcome(
        ERROR, bundle_sha256="", entries=None, root=None, origin=None, size=None, keys=(), chains=(), trusted=False
    )
    assert "does NOT hold" in to_text(made)
    assert json.loads(to_json(made))["bundle"]["entries"] is None
    assert "bundle.json" not in to_html(made)


class _Tags(HTMLParser):
    """Checks that elements close in the order in which they were opened, and notes what could load anything."""

    VOID = ("meta",)

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loading: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.loading += [name for name, _ in attrs if name in ("src", "href", "srcset", "action") or name[:2] == "on"]

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing() -> None:
    """Every element is closed in its place; no script, no link, no address; and the page forbids them itself."""
    page = to_html(outcome(ERROR, WARNING, NOTE))
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.loading == []
    assert "default-src 'none'" in page
    assert not re.search(r"<script|@import|url\(|https?://", page)


@pytest.fixture
def browser() -> str:
    """The command of Chromium. Skips where there is none; never in CI, where nobody would have looked at the page."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        missing = "no Chromium is installed"
        assert "CI" not in os.environ, missing
        pytest.skip(missing)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_with_the_page(browser: str, tmp_path: Path, scheme: str) -> None:
    """Runs axe-core on the page in a real browser, light and dark: structure, names, contrast."""
    axe = (installed_judge(JUDGE, "page-judge") / "node_modules/axe-core/axe.min.js").read_text()
    made = outcome(ERROR, WARNING, NOTE)
    page = to_html(replace(made, stages=(*made.stages, replace(stage("replay"), counted={"Claimed: total": 7}))))
    # The page forbids scripts, so the judge's copy does without that line.
    judged, count = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert count == 1
    run = (
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(found => {"
        "const said = document.createElement('pre'); said.id = 'said';"
        "said.textContent = JSON.stringify({dark: matchMedia('(prefers-color-scheme: dark)').matches,"
        "passed: found.passes.map(each => each.id),"
        "wrong: found.violations.map(each => [each.id, each.nodes.map(node => node.html)])});"
        "document.body.append(said); });"
    )
    path = tmp_path / "report.html"
    path.write_text(judged.replace("</body>", f"<script>{axe}</script><script>{run}</script></body>"))
    command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", *(["--force-dark-mode"] if scheme == "dark" else [])]
    command += ["--blink-settings=preferredColorScheme=" + ("0" if scheme == "dark" else "1")]
    done = subprocess.run(
        [*command, "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=BROWSER_SECONDS_MAX,
        check=True,
    )
    said = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.DOTALL)
    assert said is not None, done.stderr[-2_000:]
    told = json.loads(html.unescape(said[1]))
    assert told["wrong"] == []
    assert told["dark"] is (scheme == "dark")
    assert {"color-contrast", "document-title", "html-has-lang", "landmark-one-main"} <= {*told["passed"]}


def test_a_single_file_is_called_a_file() -> None:
    """The text, its head and the page speak of a file and of its hash, and of no bundle.json."""
    file = outcome(is_file=True)
    assert verdict(file).startswith("The file ")
    assert ("SHA-256", file.bundle_sha256) in list(identity(file))
    assert "Verification of a file" in to_html(file)
    assert "bundle" not in to_text(replace(file, bundle="proof.json"))

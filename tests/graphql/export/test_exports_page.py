"""docs/exports.md: it names all that there is, and its examples run."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from deepnode_graphql.export.formats import FORMATS
from deepnode_graphql.export.formats.parquet import GROUP_ROWS
from deepnode_graphql.export.formats.xlsx import SHEET_ROWS_MAX
from deepnode_graphql.export.request import PARAMETERS
from deepnode_graphql.export.sources import SOURCES
from deepnode_graphql.export.sources.records import record_sources
from deepnode_graphql.export.spool import FILE_BYTES_MAX, SPOOL_BYTES_MAX
from deepnode_projections.rules.book import RECORDS
from tests.graphql.conftest import Api

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "exports.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `(\w+)` \| .* \| (.*) ?\|$", re.MULTILINE)


def test_the_page_names_every_source_of_its_own_with_its_filters() -> None:
    """Compares the table with the sources that are not made from declarations of records."""
    made = {each.name for each in record_sources(RECORDS)}
    own = {name: source.filters for name, source in SOURCES.items() if name not in made}
    told = {name: tuple(re.findall(r"`(\w+)`", filters)) for name, filters in ROW.findall(TEXT) if name not in FORMATS}
    assert told == own


def test_the_page_names_every_format_parameter_and_figure() -> None:
    """Looks for each of them in code style, and for the figures of the code."""
    assert [name for name in (*FORMATS, *PARAMETERS) if f"`{name}`" not in TEXT] == []
    figures = [f"{GROUP_ROWS:,}", f"{SHEET_ROWS_MAX:,}"]
    assert [each for each in figures if each.replace(",", " ") not in TEXT] == []
    assert (FILE_BYTES_MAX, SPOOL_BYTES_MAX) == (2**30, 2 * 2**30)


def test_the_records_that_the_page_names_are_there() -> None:
    """Looks each name of the paragraph on records up."""
    paragraph = TEXT[TEXT.index("Beside these every kind") : TEXT.index("A record can be filtered")]
    names = re.findall(r"`(\w+)`", paragraph)
    assert len(names) > 10
    assert [name for name in names if name not in SOURCES] == []


def test_the_examples_run(api: Api, tmp_path: Path) -> None:
    """Fetches what the page fetches by curl, and runs its Python in the order of the page; all but Spark's."""
    blocks = BLOCK.findall(TEXT)
    fetched = 0
    for line in "".join(body for language, body in blocks if language == "sh").splitlines():
        words = shlex.split(line)
        if words[0] == "curl":
            answer = api.http.get(words[-1].removeprefix("http://127.0.0.1:8000"))
            assert answer.status_code == 200, answer.text
            (tmp_path / words[words.index("-o") + 1]).write_bytes(answer.content)
            fetched += 1
    programs = [body for language, body in blocks if language == "python"]
    runnable = [body for body in programs if "pyspark" not in body]
    assert (fetched, len(programs), len(runnable)) == (5, 6, 5)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(runnable)],
        cwd=tmp_path,
        # Who reads an export may have pandas, which DuckDB shows its tables by.
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "0x" in done.stdout
    assert "flagged 0" in done.stdout

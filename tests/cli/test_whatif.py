"""`deepnode whatif`: its charts and what it refuses; what comes out of a log is in `test_whatif_equals_the_books`."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from typer.testing import CliRunner

from deepnode_cli.charting import FORMATS, Drawn, RoleBar, draw, whatif_chart
from deepnode_cli.charting.whatif_chart import PANELS_MAX
from deepnode_ledger.errors import BadInput
from deepnode_projections.whatif import PressureRow
from tests.command_line import app

SVG: Final = "{http://www.w3.org/2000/svg}"


def row(epoch: int, domain: int, needed: int) -> PressureRow:
    """A domain's epoch, in dollars, of which 40 were created."""
    emitted, created, one = needed * 82 // 100, 40, 10**6
    coverage = created * one // needed if needed else None
    legs = (emitted // 2 * one, needed // 2 * one)
    return PressureRow(
        epoch, bytes([domain]) * 32, emitted * one, emitted * one, needed * one, created * one, coverage, 0, *legs
    )


def chart(domains: int = 3, epochs: int = 4) -> Drawn:
    """A chart of some domains and epochs."""
    places = [(epoch, domain) for epoch in range(1, epochs + 1) for domain in range(1, domains + 1)]
    return Drawn(
        title="What if: a & b < c",
        subtitle="Half of $everything$ to everybody",
        footer="Log to position 9",
        was=[row(epoch, domain, 100 * domain) for epoch, domain in places],
        under=[row(epoch, domain, 130 * epoch) for epoch, domain in places],
        roles=[RoleBar("miner", -5 * 10**17, 10**19), RoleBar("staker", 5 * 10**17, 0), RoleBar("owner", -1, 10**18)],
        symbol="D$N",
        decimals=18,
    )


def digests() -> dict[str, str]:
    """The SHA-256 of the chart in each format."""
    return {each: hashlib.sha256(draw(chart(), each)).hexdigest() for each in FORMATS}


def test_a_chart_is_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    """Draws it here, and in a process with another hash seed and time zone, and with settings of matplotlib's own."""
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 30\nsvg.hashsalt: other\n")
    code = "from tests.cli import test_whatif as t; print(sorted(t.digests().items()))"
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r}); {code}"
    told = (
        os.environ
        | {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8"}
        | {"MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "DISPLAY": ""}
    )
    done = subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(sorted(digests().items())), done.stderr


def test_an_svg_says_in_words_what_it_shows_and_nothing_of_when() -> None:
    """Parses the file: a role, a title and a description with the figures; no date, no text that needs a font."""
    octets = draw(chart(), "svg")
    root = ET.fromstring(octets)
    assert root.get("role") == "img"
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text == "What if: a & b < c"
    assert description.text is not None
    assert "Epochs 1 to 4" in description.text
    assert "480 dollars was created; 2,400 dollars were needed as it was, 3,900 dollars under" in description.text
    assert "D$N: miner −0.5; staker +0.5; owner 0.0" in description.text
    assert root.findall(f".//{SVG}text") == []
    assert b"date>" not in octets


def test_a_png_has_a_size_for_print_and_no_time(tmp_path: Path) -> None:
    """Opens the file with another library: 1650 dots wide, on white, with words for those who cannot see it."""
    path = tmp_path / "chart.png"
    path.write_bytes(draw(chart(), "png"))
    with Image.open(path) as image:
        assert image.width == 1650
        assert image.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
        assert set(image.info) <= {"Title", "Description", "dpi"}
        assert image.info["Title"] == "What if: a & b < c"


@pytest.mark.parametrize(("domains", "epochs"), [(1, 1), (PANELS_MAX + 9, 2), (2, 90)])
def test_any_number_of_domains_and_epochs_can_be_drawn(domains: int, epochs: int) -> None:
    """Draws one domain in one epoch, more domains than have a panel, and many epochs."""
    assert ET.fromstring(draw(chart(domains, epochs), "svg")).tag == f"{SVG}svg"


@pytest.mark.parametrize("domains", [3, PANELS_MAX + 3])
def test_no_line_runs_out_of_its_panel(domains: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at the figure before it is written: every panel reaches above its lines; domains share a scale."""
    figures: list[Figure] = []

    def keep(figure: Figure, *_: object) -> bytes:
        figures.append(figure)
        return b""

    monkeypatch.setattr(whatif_chart, "render", keep)
    whatif_chart.draw(chart(domains), "svg")
    panels = [axes for axes in figures[0].axes if axes.get_ylabel() or axes.get_title(loc="left").startswith("Domain")]
    assert len(panels) >= 4
    for axes in panels:
        if axes.lines:
            assert axes.get_ylim()[1] > max(np.max(line.get_ydata()) for line in axes.lines)
    scales = {axes.get_ylim() for axes in panels if axes.get_title(loc="left").startswith("Domain")}
    assert len(scales) == 1


def test_what_cannot_be_printed_does_not_break_the_file() -> None:
    """Puts control characters and a very long text where a ruleset's summary goes."""
    hostile = replace(chart(), title="bell \x07 \x00", subtitle="</desc><script>" + "long " * 100)
    root = ET.fromstring(draw(hostile, "svg"))
    assert root.findall(f".//{SVG}script") == []
    assert root.findtext(f"{SVG}title") == "bell"


def test_nothing_to_draw_is_said() -> None:
    """Draws a log in which no epoch was allocated."""
    with pytest.raises(BadInput, match="no epoch of this log has an allocation"):
        draw(replace(chart(), was=[], under=[]), "svg")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--chart", "c.pdf"], "c.pdf ends in no format of charts: there are .svg, .png"),
        (["--table", "all"], "'all' is no table of a what-if: there are rewards, splits, pressure"),
        (["--preset", "50-50"], "'50-50' is no preset: there are 41-41, 41-41-by-work"),
        (["--set", "work.credit"], "--set takes KEY=VALUE"),
        (["--set", "nothing=1"], "'nothing' cannot be set: there are revenue.model_share_of"),
        (["--ruleset", "nobody"], "'nobody' is no ruleset"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_replayed(arguments: list[str], said: str, tmp_path: Path) -> None:
    """Asks for what there is not, of a database that is away: it would only then be read."""
    from tests.ledger.paper_deployment import write_manifest

    manifest = write_manifest(tmp_path)
    away = "postgresql://nobody@127.0.0.1:1/none"
    result = CliRunner().invoke(app, ["whatif", *arguments, "--database", away, "--manifest", str(manifest)])
    assert isinstance(result.exception, BadInput), result.output
    assert said in str(result.exception)


def test_without_a_log_it_is_wrong_usage() -> None:
    """Names neither a bundle nor a database."""
    result = CliRunner().invoke(app, ["whatif"], env={"DEEPNODE_DATABASE_URL": "", "DEEPNODE_MANIFEST": ""})
    assert result.exit_code == 2, result.output

"""Pictures: a figure of matplotlib as the bytes of an SVG or a PNG file.

matplotlib takes half a second to come in, so that only the commands that draw bring it in. Its file-writing canvases
are used alone: no display is looked for. Letters become outlines, so that a picture looks the same where other fonts
are installed; what it shows is told in words in the file itself, for those who cannot see it.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS: Final = ("svg", "png")
"""What a picture's file may end in."""

DPI: Final = 150
"""Dots an inch of a PNG: 1 650 wide at 11 inches, sharp in print at that size."""

INK: Final = "#1a1a1a"
PALE: Final = "#c9c9c9"
"""Of text and axes, and of lines that only help the eye; on white."""

BLUE: Final = "#0072b2"
VERMILION: Final = "#d55e00"
GREY: Final = "#4d4d4d"
"""Of Okabe and Ito's palette, told apart by all kinds of colour vision; their lightness differs too, for print."""

# Names of settings are the library's; its own types know them one by one.
_SETTINGS: Final[Any] = {
    # Ids within an SVG come from this and not from chance.
    "svg.hashsalt": "deepnode",
    "svg.fonttype": "path",
    "font.family": ["deepnode"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "hatch.linewidth": 0.6,
    "path.simplify": False,
    # A token's symbol may hold a dollar: it is a letter, and no formula begins.
    "text.parse_math": False,
}


@dataclass(frozen=True, slots=True)
class Alternative:
    """What a picture shows, in words: a title, and a description with its main figures."""

    title: str
    description: str


_FONTS: Final = (("DejaVuSans.ttf", 400), ("DejaVuSans-Bold.ttf", 700))


def _take_own_fonts() -> None:
    """Give matplotlib's own letters a name of ours: a machine's own font of the same name may be another version."""
    from matplotlib import get_data_path
    from matplotlib.font_manager import FontEntry, fontManager

    if any(entry.name == "deepnode" for entry in fontManager.ttflist):
        return
    folder = Path(get_data_path()) / "fonts" / "ttf"
    for name, weight in _FONTS:
        entry = FontEntry(str(folder / name), name="deepnode", weight=weight, style="normal", size="scalable")
        fontManager.ttflist.append(entry)


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with our settings and none of the user's own, whatever a matplotlibrc says."""
    import matplotlib as mpl

    _take_own_fonts()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def render(figure: "Figure", picture_format: str, alternative: Alternative) -> bytes:
    """Return a figure as a file; call it while ``drawing``.

    Args:
        figure: made without pyplot, so that no display is asked for.
        picture_format: one of ``FORMATS``.
        alternative: what it shows in words; it goes into the file.
    """
    assert picture_format in FORMATS, picture_format
    target = io.BytesIO()
    if picture_format == "png":
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        FigureCanvasAgg(figure)
        # No version and no time of making; the words are for whoever reads the file's texts.
        told = {
            "Software": None,
            "Title": plain(alternative.title),
            "Description": plain(alternative.description),
        }
        figure.savefig(target, format="png", dpi=DPI, metadata=told)
        return target.getvalue()
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    FigureCanvasSVG(figure)
    figure.savefig(target, format="svg", metadata={"Date": None, "Creator": "DeepNode Ledger"})
    return _told(target.getvalue().decode("utf-8"), alternative).encode("utf-8")


def plain(text: str) -> str:
    """Return a text of somebody else's as one line that every file can hold: what cannot be printed becomes a space."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _told(svg: str, alternative: Alternative) -> str:
    """Give an SVG a title and a description that screen readers say."""
    start = svg.index("<svg ")
    end = svg.index(">", start) + 1
    head = svg[start:end].replace("<svg ", '<svg role="img" aria-labelledby="what-title what-desc" ', 1)
    words = (
        f'\n <title id="what-title">{escape(plain(alternative.title))}</title>'
        f'\n <desc id="what-desc">{escape(plain(alternative.description))}</desc>'
    )
    return f"{svg[:start]}{head}{words}{svg[end:]}"

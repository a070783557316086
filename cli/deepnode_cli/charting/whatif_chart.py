"""The what-if's chart: value that was created beside value that is needed, and who gains and loses.

Above, the whole network; then a panel for each domain, all with one scale; below, what each role gains or loses. In the
upper panels the top of the blue area is the line at which a domain breaks even: what stands above it the market has to
bring from somewhere else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Final

from deepnode_cli.charting.picture import BLUE, GREY, INK, PALE, VERMILION, Alternative, drawing, plain, render
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from deepnode_projections.whatif import PressureRow

PANELS_MAX: Final = 12
"""Domains with a panel of their own: those with most at stake. The others share the last one."""

MARKS_MAX: Final = 60
"""Epochs that are marked one by one in a panel."""

COLUMNS: Final = 3
_WIDTH: Final = 11.0
_TOP: Final = 2.9
_PANEL: Final = 2.0
_ROLES: Final = 3.0
_ABOVE: Final = 0.7
_BELOW: Final = 0.25
_EDGES: Final = _ABOVE + _BELOW
"""Inches: how wide it is, and how high each row of panels and what is around them."""

_MICRO: Final = 1_000_000
_WAS: Final[dict[str, Any]] = {"color": GREY, "linestyle": (0, (4, 2)), "marker": "o", "markersize": 4}
_UNDER: Final[dict[str, Any]] = {"color": VERMILION, "linestyle": "-", "marker": "s", "markersize": 4}


@dataclass(frozen=True, slots=True)
class RoleBar:
    """What a role gains or loses, in base units of a token with so many ``decimals``, and what it had."""

    role: str
    difference: int
    was: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a chart is made of. ``was`` and ``under`` are the same epochs and domains, or nearly so."""

    title: str
    subtitle: str
    footer: str
    was: Sequence["PressureRow"]
    under: Sequence["PressureRow"]
    roles: Sequence[RoleBar]
    symbol: str
    decimals: int


@dataclass(frozen=True, slots=True)
class _Series:
    """A panel's lines: epochs, and for each of them dollars."""

    epochs: list[int]
    created: list[float]
    was: list[float]
    under: list[float]
    two_was: list[float]
    two_under: list[float]

    @property
    def top(self) -> float:
        """The highest value of the lines that every panel has."""
        return max((*self.created, *self.was, *self.under), default=0)


def draw(drawn: Drawn, picture_format: str) -> bytes:
    """Return the chart as an SVG or a PNG.

    Raises:
        BadInput: there is no epoch to draw.
    """
    if not drawn.was and not drawn.under:
        raise BadInput("there is nothing to draw: no epoch of this log has an allocation")
    with drawing():
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        groups = _groups(drawn)
        rows = -(-len(groups) // COLUMNS)
        heights = [_TOP, *[_PANEL] * rows, _ROLES]
        height = sum(heights) + _EDGES
        # What is written above and below the panels has so many inches of its own.
        layout = ConstrainedLayoutEngine(
            w_pad=0.08, h_pad=0.08, rect=(0, _BELOW / height, 1, 1 - (_BELOW + _ABOVE) / height)
        )
        figure = Figure(figsize=(_WIDTH, height), layout=layout)
        grid = figure.add_gridspec(rows + 2, COLUMNS, height_ratios=heights)
        figure.text(0.01, 1 - 0.12 / height, shorten(plain(drawn.title), 90), fontsize=13, fontweight="bold", va="top")
        figure.text(0.01, 1 - 0.42 / height, shorten(plain(drawn.subtitle), 150), fontsize=9, va="top")
        network = _summed(drawn, None)
        whole = figure.add_subplot(grid[0, :2])
        _panel(whole, network, "All domains", legs=True)
        _legend(figure, grid[0, 2], whole)
        panels = [(name, _summed(drawn, domains), len(domains) == 1) for name, domains in groups]
        # One scale for all domains; those that share a panel have another, which its title says.
        top = max((series.top for _, series, is_one in panels if is_one), default=0)
        for place, (name, series, is_one) in enumerate(panels):
            panel = figure.add_subplot(grid[1 + place // COLUMNS, place % COLUMNS])
            is_left, is_last = place % COLUMNS == 0, place + COLUMNS >= len(groups)
            _panel(panel, series, name, labels=(is_left, is_last), top=top if is_one else None)
        _bars(figure.add_subplot(grid[rows + 1, :]), drawn)
        figure.text(0.01, 0.08 / height, drawn.footer, fontsize=7, ha="left", va="bottom")
        return render(figure, picture_format, _words(drawn, network))


def _groups(drawn: Drawn) -> list[tuple[str, frozenset[bytes]]]:
    """Return the panels' names and domains: in the order of ids, the ones with least at stake together."""
    stake: dict[bytes, int] = {}
    for row in (*drawn.was, *drawn.under):
        stake[row.domain] = stake.get(row.domain, 0) + row.needed + row.created
    ranked = sorted(stake, key=lambda domain: (-stake[domain], domain))
    own = ranked if len(ranked) <= PANELS_MAX else ranked[: PANELS_MAX - 1]
    groups = [(f"Domain {to_hex(domain)[:10]}…", frozenset([domain])) for domain in sorted(own)]
    if rest := ranked[len(own) :]:
        groups.append((f"{len(rest)} other domains together (another scale)", frozenset(rest)))
    return groups


def _summed(drawn: Drawn, domains: frozenset[bytes] | None) -> _Series:
    epochs = sorted({row.epoch for row in (*drawn.was, *drawn.under)})

    def of(rows: Sequence["PressureRow"], what: str) -> list[float]:
        sums = dict.fromkeys(epochs, 0)
        for row in rows:
            if domains is None or row.domain in domains:
                sums[row.epoch] += getattr(row, what)
        # For the eye alone: no amount is made of it.
        return [found / _MICRO for found in sums.values()]

    whats = ((drawn.was, "created"), (drawn.was, "needed"), (drawn.under, "needed"))
    legs = ((drawn.was, "two_needed"), (drawn.under, "two_needed"))
    return _Series(epochs, *(of(rows, what) for rows, what in (*whats, *legs)))


def _panel(
    axes: "Axes",
    series: _Series,
    title: str,
    *,
    labels: tuple[bool, bool] = (True, True),
    legs: bool = False,
    top: float | None = None,
) -> None:
    from matplotlib.ticker import MaxNLocator

    # A step as wide as its epoch: what was created in it, and no line between two epochs that says more than that.
    edges = [series.epochs[0] - 0.5, *(epoch + 0.5 for epoch in series.epochs)]
    axes.stairs(series.created, edges, fill=True, color=BLUE, alpha=0.25, linewidth=0)
    axes.stairs(series.created, edges, color=BLUE, linewidth=2, label="Value created: the break-even line")
    # Marks that touch one another would hide the line.
    marks: dict[str, Any] = {"marker": "None"} if len(series.epochs) > MARKS_MAX else {}
    was, under = _WAS | marks, _UNDER | marks
    axes.plot(series.epochs, series.was, linewidth=1.5, label="Value needed, as it was", **was)
    axes.plot(series.epochs, series.under, linewidth=1.8, label="Value needed, under the scenario", **under)
    if legs:
        thin: dict[str, Any] = {"linewidth": 1, "linestyle": ":", "markersize": 3, "markerfacecolor": "white"}
        axes.plot(series.epochs, series.two_was, label="  … for miners and stakers alone, as it was", **{**was, **thin})
        axes.plot(series.epochs, series.two_under, label="  … the same, under the scenario", **{**under, **thin})
    axes.set_title(title, loc="left", color=INK)
    axes.set_ylim(0, (series.top if top is None else top) * 1.06 or 1)
    axes.set_xlim(edges[0], edges[-1])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(lambda value, _place: _apart(f"{value:,.12g}"))
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    if labels[0]:
        axes.set_ylabel("US dollars an epoch")
    if labels[1]:
        axes.set_xlabel("epoch")


def _legend(figure: "Figure", place: Any, of: "Axes") -> None:
    axes = figure.add_subplot(place)
    axes.set_axis_off()
    handles, names = of.get_legend_handles_labels()
    axes.legend(handles, names, loc="upper left", frameon=False, fontsize=8, borderaxespad=0, handlelength=3)
    axes.text(
        0,
        0.02,
        "Where a line stands above the blue area, those who\nearn emissions sell more than the revenue of the time\n"
        "bears. What is sold and what a sale costs are the\nruleset's assumptions. Nobody reacts: the work and the\n"
        "payments are those that there were.",
        fontsize=8,
        va="bottom",
        transform=axes.transAxes,
    )


def _bars(axes: "Axes", drawn: Drawn) -> None:
    one = 10**drawn.decimals
    places = range(len(drawn.roles))
    values = [bar.difference / one for bar in drawn.roles]
    reach = max((abs(value) for value in values), default=0) or 1
    # Three digits of the largest one, and none behind the point where it has more before it.
    digits = max(0, 1 - math.floor(math.log10(reach)))
    for place, bar, value in zip(places, drawn.roles, values, strict=True):
        gains = value >= 0
        colour, hatch = (BLUE, None) if gains else (VERMILION, "////")
        axes.barh(place, value, color=colour, alpha=0.85, hatch=hatch, edgecolor="white", height=0.68)
        percent = f" ({_signed(bar.difference * 100 / bar.was, 1)} %)" if bar.was else ""
        axes.text(
            value + reach * (0.01 if gains else -0.01),
            place,
            f"{_signed(value, digits + 1)}{percent}",
            ha="left" if gains else "right",
            va="center",
            fontsize=8,
        )
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_xlim(-reach * 1.4, reach * 1.4)
    axes.xaxis.set_major_formatter(lambda value, _place: _signed(value, digits))
    axes.set_yticks(list(places), [bar.role for bar in drawn.roles])
    axes.invert_yaxis()
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(f"Who gains and who loses, all epochs ({drawn.symbol}; in brackets, of what it was)", loc="left")
    axes.set_xlabel(f"{drawn.symbol} more or less than it was")


def _signed(value: float, places: int) -> str:
    """Write a number with its sign, a real minus, and thousands apart; what is rounded to nothing has no sign."""
    text = f"{value:+,.{places}f}"
    text = text if any(digit in text for digit in "123456789") else text[1:]
    return _apart(text)


def _apart(text: str) -> str:
    """Part thousands by a thin space, and write a real minus."""
    return text.replace(",", "\N{THIN SPACE}").replace("-", "\N{MINUS SIGN}")


def _words(drawn: Drawn, network: _Series) -> Alternative:
    sums = [sum(each) for each in (network.created, network.was, network.under)]
    created, was, under = (f"{each:,.0f} dollars" for each in sums)
    one = 10**drawn.decimals
    roles = "; ".join(f"{bar.role} {_signed(bar.difference / one, 1)}" for bar in drawn.roles)
    return Alternative(
        drawn.title,
        f"{drawn.subtitle}. Epochs {network.epochs[0]} to {network.epochs[-1]}. In all domains together value of "
        f"{created} was created; {was} were needed as it was, {under} under the scenario. "
        f"Gains and losses in {drawn.symbol}: {roles}.",
    )

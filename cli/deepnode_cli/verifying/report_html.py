"""The report of a verification as a page: one file that needs nothing else, on a screen, on paper or read aloud.

There is no script and nothing is loaded, which the page itself forbids. Everything from the bundle is escaped. Colours
follow the reader's choice of light or dark, and no meaning is told by colour alone.
"""

from collections.abc import Iterator
from html import escape
from typing import Final

from deepnode_cli.verifying import report
from deepnode_cli.verifying.finding import POSITIONS_MAX, Finding, Outcome, Severity, StageOutcome

_NAMES: Final = {Severity.ERROR: "Errors", Severity.WARNING: "Warnings", Severity.NOTE: "Notes"}

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #4d4d4d; --page: #ffffff; --line: #8a8a8a; --band: #f2f2f2;
  --error: #a30015; --warning: #7a4b00; --note: #00518f; --good: #12602b; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececec; --soft: #bdbdbd; --page: #141414; --line: #7d7d7d;
  --band: #222222; --error: #ff9a9a; --warning: #f2c063; --note: #8cc8ff; --good: #86d99b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 1.5rem 1rem 3rem; color: var(--ink); background: var(--page);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
p { margin: 0 0 .25rem; overflow-wrap: anywhere; }
.verdict { border-left: .5rem solid var(--good); padding: .75rem 1rem; background: var(--band); font-size: 1.15rem; }
.verdict.wrong { border-color: var(--error); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; font-family: ui-monospace, monospace; font-size: .9rem; }
.wide { overflow-x: auto; }
.wide:focus-visible { outline: .2rem solid var(--note); }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--soft); padding-bottom: .25rem; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
ol { list-style: none; margin: 0; padding: 0; }
li { border-left: .25rem solid var(--line); padding: .5rem .75rem; margin: 0 0 .75rem; break-inside: avoid; }
.ERROR { border-color: var(--error); } .WARNING { border-color: var(--warning); } .NOTE { border-color: var(--note); }
.ERROR .mark { color: var(--error); } .WARNING .mark { color: var(--warning); } .NOTE .mark { color: var(--note); }
.soft { color: var(--soft); }
@media print { body { max-width: none; padding: 0; } .verdict { background: none; } .wide { overflow: visible; } }
"""


def to_html(outcome: Outcome) -> str:
    """Write the report as one page of HTML."""
    return "".join(f"{line}\n" for line in _page(outcome))


def _page(outcome: Outcome) -> Iterator[str]:
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    yield f"<title>{_text('Holds' if outcome.ok else 'Does not hold')}: verification of {_text(outcome.bundle)}</title>"
    yield f"<style>{_STYLE}</style>"
    yield "</head>"
    yield "<body>"
    yield "<main>"
    yield f"<h1>Verification of a {report.of_what(outcome)}</h1>"
    yield f'<p class="verdict{"" if outcome.ok else " wrong"}"><strong>{_text(report.verdict(outcome))}</strong></p>'
    yield '<h2 id="what">What was verified</h2>'
    yield "<dl>"
    for name, value in report.identity(outcome):
        yield f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>"
    yield "</dl>"
    yield from _stages(outcome)
    for severity, findings in report.by_severity(outcome):
        yield from _findings(severity, findings, report.number_of(outcome, severity))
    if not outcome.findings:
        yield "<h2>Findings</h2>"
        yield "<p>There are none.</p>"
    for stage in outcome.stages:
        yield from _kinds(stage)
    yield "</main>"
    yield "</body>"
    yield "</html>"


def _stages(outcome: Outcome) -> Iterator[str]:
    yield '<h2 id="stages">Stages</h2>'
    yield '<div class="wide" role="region" aria-labelledby="stages" tabindex="0">'
    yield "<table>"
    yield "<caption>What each stage found, and how much it looked at</caption>"
    heads = "".join(f'<th scope="col" class="number">{each}</th>' for each in _NAMES.values())
    yield f'<thead><tr><th scope="col">Stage</th>{heads}<th scope="col">Looked at</th></tr></thead>'
    yield "<tbody>"
    for stage in outcome.stages:
        yield _stage(stage)
    yield "</tbody>"
    yield "</table>"
    yield "</div>"


def _kinds(stage: StageOutcome) -> Iterator[str]:
    """A table of what a stage compared, kind by kind, if there are kinds."""
    kinds = report.kinds_of(stage)
    if not kinds:
        return
    yield f"<h2>Compared by the stage {_text(stage.name)}</h2>"
    yield "<table>"
    yield "<caption>How often each field of an event was compared with what the rules make of the log</caption>"
    yield '<thead><tr><th scope="col">Field</th><th scope="col" class="number">Comparisons</th></tr></thead>'
    yield "<tbody>"
    for kind, number in kinds.items():
        yield f'<tr><th scope="row">{_text(kind)}</th><td class="number">{number}</td></tr>'
    yield "</tbody>"
    yield "</table>"


def _stage(stage: StageOutcome) -> str:
    numbers = report.found_in(stage).values()
    cells = "".join(f'<td class="number">{"–" if stage.skipped else each}</td>' for each in numbers)
    return f'<tr><th scope="row">{_text(stage.name)}</th>{cells}<td>{_text(report.looked_at(stage))}</td></tr>'


def _findings(severity: Severity, findings: list[Finding], number: int) -> Iterator[str]:
    yield f"<h2>{_NAMES[severity]} ({number})</h2>"
    yield "<ol>"
    for finding in findings:
        yield f'<li class="{severity.name}">'
        mark = f'<span class="mark">{severity.name.capitalize()}</span>'
        yield f"<h3>{mark}: {_text(finding.stage)}, {_text(finding.where)}</h3>"
        yield f"<p>{_text(finding.said)}</p>"
        if finding.positions:
            yield f'<p class="soft">Positions: {_text(report.positions_of(finding, POSITIONS_MAX))}</p>'
        if finding.integers:
            yield "<dl>"
            for name, value in finding.integers.items():
                yield f"<dt>{_text(name)}</dt><dd>{value}</dd>"
            yield "</dl>"
        yield "</li>"
    yield "</ol>"
    if number > len(findings):
        yield f'<p class="soft">{number - len(findings)} more were counted and are not listed.</p>'


def _text(text: str) -> str:
    return escape(report.shown(text), quote=True)

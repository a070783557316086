"""The documentation covers what there is, and names nothing that there is not."""

import re
from typing import Any

import pytest
import typer.main

from tests.command_line import app
from tests.tidy.tracked import ROOT, python_files, text_of

SETTING = re.compile(r"DEEPNODE_[A-Z_]+[A-Z]")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
# What a process tree tells its own children, and nobody else.
INTERNAL = {"DEEPNODE_DIES_WITH_PARENT"}


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    """Compares the variables in the program's code with those in docs/settings.md."""
    read = {name for path in python_files() if "/tests/" not in f"/{path}" for name in SETTING.findall(text_of(path))}
    told = set(SETTING.findall((ROOT / "docs/settings.md").read_text()))
    assert read - INTERNAL == told


@pytest.mark.parametrize("name", sorted(typer.main.get_group(app).commands))
def test_every_command_is_in_the_readme(name: str) -> None:
    """Looks for each command that `deepnode --help` shows, and that each explains itself and its options."""
    command: Any = typer.main.get_group(app).commands[name]
    if command.hidden:
        return
    assert f"`deepnode {name}" in (ROOT / "README.md").read_text()
    assert command.help
    assert [option.name for option in command.params if not option.help and option.name != "help"] == []


@pytest.mark.parametrize(
    "page", sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    """Follows each relative link of a page."""
    folder = (ROOT / page).parent
    assert [link for link in LINK.findall((ROOT / page).read_text()) if not (folder / link).exists()] == []

"""`deepnode rulesets` lists, shows and compares the rules, for people and as JSON."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections import rulesets
from tests.command_line import app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rulesets", *arguments])


def lines(*arguments: str) -> list[dict[str, Any]]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_list_names_every_ruleset_with_its_hash() -> None:
    """Compares the list, in both forms, with what comes with the program; the default is first."""
    listed = lines("list")
    assert {each["name"]: each["hash"] for each in listed} == {
        name: to_hex(each.spec_hash) for name, each in rulesets.shipped().items()
    }
    assert (listed[0]["name"], listed[0]["aliases"]) == ("default", ["deepnode/ruleset/1"])
    text = run("list").stdout.splitlines()
    assert [line.split()[:2] for line in text] == [[each["name"], each["hash"]] for each in listed]


def test_a_ruleset_shows_each_field_with_its_meaning_and_source() -> None:
    """Shows the default as JSON and as text, by name, by hash and by its name on chain."""
    (shown,) = lines("show", "default")
    assert shown["fields"]["revenue.rounding"]["value"] == "carry_forward"
    assert shown["fields"]["work.credit"]["seed"] == "000 step 3; 003 section 2"
    assert shown["canonical"] == rulesets.default().canonical
    text = run("show", "default").stdout
    assert f"hash: {shown['hash']}\nalso: deepnode/ruleset/1\n" in text
    assert all(f"\n{path} " in text for path in shown["fields"])
    for known_hash in rulesets.default().hashes:
        assert run("show", to_hex(known_hash)).stdout == text


def test_a_difference_shows_both_values_and_the_source() -> None:
    """Compares the default with a shared credit, in both forms, and with itself."""
    assert lines("diff", "default", "split_credit") == [
        {"field": "work.credit", "left": "full", "right": "split", "seed": "000 step 3; 003 section 2"}
    ]
    assert run("diff", "split_credit", "default").stdout == "work.credit  split -> full [000 step 3; 003 section 2]\n"
    assert (
        "emission.fixed_weights.miners      - -> 410000 [001 section 3]" in run("diff", "default", "fixed_41_41").stdout
    )
    assert run("diff", "default", "default").stdout == "the same rules\n"
    assert lines("diff", "default", "default") == []


def test_a_file_stands_for_a_ruleset(tmp_path: Path) -> None:
    """Compares a file of one's own with the ruleset of the same rules."""
    (tmp_path / "mine.toml").write_text('summary = "mine"\n[work]\ncredit = "first"\n')
    assert run("diff", str(tmp_path / "mine.toml"), "first_credit").stdout == "the same rules\n"


def test_what_is_no_ruleset_is_named(tmp_path: Path) -> None:
    """Asks for an unknown name, an unknown hash, half a hash, and a file that is not there."""
    for given, message in (
        ("nowhere", "'nowhere' is no ruleset: there are default"),
        ("0x" + 32 * "00", "is the hash of no ruleset"),
        ("0x00", "a ruleset's hash must have 32 bytes, not 1"),
        (str(tmp_path / "nowhere.toml"), "cannot be read"),
    ):
        refused = run("show", given)
        assert isinstance(refused.exception, BadInput)
        assert message in str(refused.exception)

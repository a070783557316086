"""Profiles are read strictly, drawn by a seed, and written down for whoever uses them."""

import re
from pathlib import Path
from random import Random

import msgspec
import pytest

from deepnode_indexer.devnet.faults import BUILT_IN, KINDS, Cut, Fault, HideLogs, Profile, drawn, profile_of
from deepnode_indexer.devnet.faults.branch import matches
from deepnode_indexer.devnet.faults.draw import Draws, Tally
from deepnode_indexer.devnet.faults.profile import from_toml
from deepnode_indexer.devnet.faults.provider_words import LOGS_PROVIDERS, RANGE_PROVIDERS
from deepnode_ledger.errors import BadInput
from tests.tidy.tracked import ROOT


def test_a_profile_is_read_from_a_file(tmp_path: Path) -> None:
    """Writes a TOML file and reads it by its path; the name is the file's."""
    path = tmp_path / "bad-day.toml"
    path.write_text('about = "a bad day"\n[[faults]]\nkind = "hide-logs"\nchance = 0.5\nwhen = "always"\n')
    assert profile_of(path) == Profile("bad-day", (HideLogs(chance=0.5, when="always"),), "a bad day")
    assert profile_of(str(path)) == profile_of(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[faults]]\nkind = 'no-such-kind'", "no-such-kind"),
        ("[[faults]]\nkind = 'cut'\nat = 'middle'", "middle"),
        ("[[faults]]\nkind = 'cut'\nchance = 1.5", "chance"),
        ("[[faults]]\nkind = 'cut'\nplace = 'body'", "place"),
        ("[[faults]]\nkind = 'cap-range'\nprovider = 'nobody'", "nobody"),
        ("faults = 3", "faults"),
        ("[[", "TOML|Expected|Cannot|Invalid|Unexpected"),
    ],
)
def test_a_mistake_in_a_profile_is_named(text: str, told: str) -> None:
    """Reads texts with one mistake each."""
    with pytest.raises(BadInput, match=told):
        from_toml(text)


def test_impossible_values_are_refused_in_code_too() -> None:
    """Makes a fault with a chance above one, which its constructor lets pass, and a name that is no file."""
    with pytest.raises(BadInput, match="chance"):
        profile_of([Cut(chance=2)])
    with pytest.raises(BadInput, match="nowhere"):
        profile_of("nowhere")


def test_every_fault_survives_being_written_and_read() -> None:
    """Writes each kind and each built-in profile as JSON, as the control does, and reads it back."""
    for kind in KINDS:
        profile = profile_of([kind()])
        assert msgspec.json.decode(msgspec.json.encode(profile), type=Profile) == profile
    for profile in BUILT_IN.values():
        assert profile_of(msgspec.json.decode(msgspec.json.encode(profile), type=Profile)) == profile


def test_drawn_profiles_repeat_and_cover_every_kind() -> None:
    """Draws 300 profiles twice; together they hold every kind of fault, and none is certain to strike."""
    profiles = [drawn(Random(seed), lasting=seed % 3 == 0) for seed in range(300)]
    assert profiles == [drawn(Random(seed), lasting=seed % 3 == 0) for seed in range(300)]
    assert {type(fault) for each in profiles for fault in each.faults} == set(KINDS)
    assert all(0 < fault.chance <= 0.4 for each in profiles for fault in each.faults)
    assert not any(fault.when == "always" for seed, each in enumerate(profiles) if seed % 3 for fault in each.faults)


def test_chances_are_what_they_say() -> None:
    """Draws 20 000 subjects with a chance of one in ten: between 9 and 11 in a hundred are hit."""
    draws = Draws(3, Tally())
    fault: Fault = Cut(chance=0.1)
    hits = sum(draws.strikes(0, fault, str(number)) for number in range(20_000))
    assert 1_800 < hits < 2_200


def test_every_kind_and_every_profile_is_documented() -> None:
    """Looks in docs/devnet.md for each kind, each of its fields, each profile and each provider."""
    page = (ROOT / "docs/devnet.md").read_text()
    told = set(re.findall(r"`([^`\s]+)`", page))
    names = {str(kind.__struct_config__.tag) for kind in KINDS}
    fields = {field for kind in KINDS for field in kind.__struct_fields__}
    assert (names | fields | set(BUILT_IN) | set(RANGE_PROVIDERS) | set(LOGS_PROVIDERS)) - told == set()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, True),
        ({"address": "0xAA"}, True),
        ({"address": ["0xbb", "0xaa"]}, True),
        ({"address": ["0xbb"]}, False),
        ({"topics": ["0x01"]}, True),
        ({"topics": [None, ["0x03", "0x02"]]}, True),
        ({"topics": ["0x02"]}, False),
        ({"topics": [None, None, None]}, False),
    ],
)
def test_the_old_branch_filters_logs_as_a_node_does(wanted: dict[str, object], found: bool) -> None:
    """Matches one log with two topics against filters of addresses and topics."""
    assert matches({"address": "0xAa", "topics": ["0x01", "0x02"]}, wanted) is found

"""Rulesets: read strictly, hashed by what they say, and told apart field by field."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from deepnode_projections import rulesets
from deepnode_projections.rulesets import RulesetRefused, UnknownRuleset
from deepnode_projections.rulesets.ruleset import PPM

DEFAULT = rulesets.default()
ALL = sorted(rulesets.shipped())
PAGE = Path(__file__).parents[3] / "docs" / "rulesets.md"


def of(text: str, name: str = "mine") -> rulesets.Ruleset:
    return rulesets.parse(name, f'summary = "of a test"\n{text}')


def test_the_default_has_the_hash_that_was_published() -> None:
    """Compares with the hash written here: whoever changes the default's rules makes other rules of it, and says so."""
    assert DEFAULT.spec_hash.hex() == "626e67933d3d5dcf6aa5d5a2c01a62cc4b1daf16f45017dbd665f9305ee35cff"


def test_a_hash_is_made_of_the_canonical_text() -> None:
    """Hashes the text by hand, and reads it as JSON: whole numbers and texts, in the order of names."""
    assert hashlib.sha256(DEFAULT.canonical.encode()).digest() == DEFAULT.spec_hash
    read = json.loads(DEFAULT.canonical, parse_float=pytest.fail)
    assert json.dumps(read, sort_keys=True, separators=(",", ":")) == DEFAULT.canonical
    assert {"summary", "name", "aliases"}.isdisjoint(read)


def test_every_ruleset_goes_by_its_name_and_its_hashes() -> None:
    """Looks each up by name, by its own hash, and by those of its names on chain."""
    for name, ruleset in rulesets.shipped().items():
        assert rulesets.by_name(name) is ruleset
        assert ruleset.name == name
        assert all(rulesets.by_hash(each) is ruleset for each in ruleset.hashes)
    assert rulesets.by_hash(bytes(32)) is None
    with pytest.raises(UnknownRuleset, match="'nowhere' is no ruleset: there are default, burn_of_fee"):
        rulesets.by_name("nowhere")


def test_the_default_answers_to_the_reference_router() -> None:
    """Hashes the text that RevenueRouter.sol hashes for its RULESET."""
    source = (PAGE.parents[1] / "indexer" / "contracts" / "src" / "RevenueRouter.sol").read_text()
    named = re.search(r'RULESET = keccak256\("([^"]+)"\)', source)
    assert named is not None
    assert rulesets.by_hash(bytes(keccak(text=named[1]))) is DEFAULT


@pytest.mark.parametrize("name", [name for name in ALL if name != "default"])
def test_a_profile_names_only_what_differs(name: str) -> None:
    """Compares each profile's file with what it changes: no field in it repeats the default."""
    file = Path(rulesets.profiles.__file__).parent / "data" / f"{name}.toml"
    changed = {each.path for each in rulesets.differences(DEFAULT, rulesets.by_name(name))}
    given_fields = set(re.findall(r"^(\w+) =", file.read_text(), re.MULTILINE)) - {"summary"}
    assert given_fields == {path.split(".")[1] for path in changed}
    assert changed


def test_two_of_the_same_rules_are_the_same() -> None:
    """Parses the default's rules under another name: same hash, no differences, though they are not the same file."""
    mine = of('aliases = ["another/name"]')
    assert (mine.spec_hash, mine.name, mine.hashes[1]) == (DEFAULT.spec_hash, "mine", keccak(text="another/name"))
    assert rulesets.differences(mine, DEFAULT) == ()


def test_a_difference_names_both_values_and_its_source() -> None:
    """Changes one element of a list and adds one: both are told by their place."""
    mine = of("[trust]\nupheld = [{ alpha_ppm = 1, target_ppm = 0 }]")
    found = rulesets.differences(DEFAULT, mine)
    assert [(each.path, each.left, each.right) for each in found] == [
        ("trust.upheld[1].alpha_ppm", 100_000, 1),
        ("trust.upheld[2].alpha_ppm", 250_000, None),
        ("trust.upheld[2].target_ppm", 0, None),
        ("trust.upheld[3].alpha_ppm", 1_000_000, None),
        ("trust.upheld[3].target_ppm", 0, None),
    ]
    assert {each.seed for each in found} == {"000 section 3"}


@pytest.mark.parametrize("left", ALL)
@pytest.mark.parametrize("right", ALL)
def test_rulesets_differ_in_their_hash_as_in_their_fields(left: str, right: str) -> None:
    """Compares every two; the differences are the same from both sides."""
    one, other = rulesets.by_name(left), rulesets.by_name(right)
    found = {each.path: (each.left, each.right) for each in rulesets.differences(one, other)}
    back = {each.path: (each.right, each.left) for each in rulesets.differences(other, one)}
    assert found == back
    assert bool(found) == (one.spec_hash != other.spec_hash) == (left != right)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[revenue]\nbuyback_ppm = 1_000_001", "revenue.buyback_ppm: Expected `int` <= 1000000 (it is 1000001)"),
        ("[revenue]\nbuyback_ppm = -1", "revenue.buyback_ppm: Expected `int` >= 0 (it is -1)"),
        ("[revenue]\nbuyback_ppm = 0.01", "revenue.buyback_ppm: Expected `int`, got `float` (it is 0.01)"),
        ("[revenue]\nbuyback_ppm = '1'", "revenue.buyback_ppm: Expected `int`, got `str` (it is '1')"),
        ("[revenue]\nbuyback_ppm = true", "revenue.buyback_ppm: Expected `int`, got `bool` (it is True)"),
        ("[revenue]\nrounding = 'up'", "revenue.rounding: Invalid enum value 'up' (it is 'up')"),
        ("[revenue]\nburn = 1", "Object contains unknown field `burn`"),
        ("[money]\nburn = 1", "Object contains unknown field `money`"),
        ("revenue = 3", "revenue: Expected `object`, got `int` (it is 3)"),
        ("name = 'other'", "it is named by its file"),
        ("[trust]\nupheld = []", "trust.upheld: Expected `array` of length >= 1 (it is [])"),
        ("[trust]\nupheld = [{alpha_ppm = 1}]", "missing required field `target_ppm`"),
        ("[emission]\nminers = {floor_ppm = 2, ceiling_ppm = 1}", "floor_ppm 2 is above ceiling_ppm 1"),
        ("[emission.fixed_weights]\nminers = 1", "missing required field `stakers`"),
        ("[emission]\nminers.floor_ppm = 990_000\nstakers.floor_ppm = 1", "between floors (1000001) and ceilings"),
        ("[revenue]\nbuyback_ppm = 999_999", "buyback_ppm 999999 + foundation_ppm 10000 is above 1000000"),
        ("[revenue", "is not TOML"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_the_value_and_the_rule(text: str, message: str) -> None:
    """Reads a file with one fault; the message names the ruleset, the place, the value and the rule."""
    with pytest.raises(RulesetRefused, match=re.escape(message)) as refused:
        of(text)
    assert str(refused.value).startswith("ruleset 'mine'")


def test_fixed_weights_sum_to_everything() -> None:
    """Fixes weights that leave a unit over."""
    weights = "miners = 990_000, stakers = 1, validators = 0, owner = 0, models = 0"
    with pytest.raises(RulesetRefused, match="fixed_weights and foundation_ppm sum to 1000001, not to 1000000"):
        of(f"[emission]\nfixed_weights = {{ {weights} }}")


@pytest.mark.parametrize("name", ["", "Upper", "a b", "1st", "x" * 65])
def test_a_name_is_a_plain_word(name: str) -> None:
    """Reads a sound ruleset under names that no ruleset may have."""
    with pytest.raises(RulesetRefused, match="name: Expected `str` matching"):
        of("", name)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    """Reads a file, and what is no file, no text or too large."""
    path = tmp_path / "mine.toml"
    path.write_text('summary = "mine"\n[work]\ncredit = "split"\n')
    mine = rulesets.load(path)
    assert (mine.name, mine.spec_hash) == ("mine", rulesets.by_name("split_credit").spec_hash)
    for content, message in ((b"\xff", "not UTF-8"), (b"#" * 70_000, "larger than 65536 bytes")):
        path.write_bytes(content)
        with pytest.raises(RulesetRefused, match=message):
            rulesets.load(path)
    for nowhere in (tmp_path, tmp_path / "nowhere.toml"):
        with pytest.raises(RulesetRefused, match="cannot be read"):
            rulesets.load(nowhere)


def test_a_ruleset_cannot_be_changed() -> None:
    """Sets a field of a ruleset, and of a part of it."""
    for part, field in ((DEFAULT, "name"), (DEFAULT.revenue, "buyback_ppm")):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(part, field, 0)


@given(field=st.sampled_from(rulesets.fields_of(DEFAULT)), data=st.data())
def test_any_other_value_makes_another_hash(field: rulesets.FieldValue, data: st.DataObject) -> None:
    """Draws a numeric field and another value for it: refused, or another hash and one difference."""
    if not isinstance(field.value, int) or "[" in field.path:
        return
    value = data.draw(st.integers(0, PPM).filter(lambda drawn: drawn != field.value))
    *tables, name = field.path.split(".")
    try:
        other = of(f"[{'.'.join(tables)}]\n{name} = {value}")
    except RulesetRefused:
        return
    found = rulesets.differences(DEFAULT, other)
    assert [(each.path, each.left, each.right) for each in found] == [(field.path, field.value, value)]
    assert other.spec_hash != DEFAULT.spec_hash


def test_every_field_says_what_it_means_and_where_it_is_open() -> None:
    """Asks every field of every ruleset for its words."""
    for name in ALL:
        for each in rulesets.fields_of(rulesets.by_name(name)):
            assert each.meaning, each
            assert each.seed, each


def test_the_page_has_every_field_and_every_ruleset() -> None:
    """Looks for `section.field` of each field, and for the name of each ruleset, on the page."""
    page = PAGE.read_text()
    fields = {".".join(re.sub(r"\[\d+\]", "", each.path).split(".")[:2]) for each in rulesets.fields_of(DEFAULT)}
    assert [name for name in sorted(fields | set(ALL)) if f"`{name}`" not in page] == []


def test_the_examples_on_the_page_are_true() -> None:
    """Runs the page's Python, and reads its TOML as a ruleset."""
    page = PAGE.read_text()
    (python,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(python, str(PAGE), "exec"), names)
    (toml,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    mine = rulesets.parse("mine", toml)
    assert len(rulesets.differences(DEFAULT, mine)) == 2
    assert msgspec.structs.astuple(mine.emission.validators) == (0, 500_000)

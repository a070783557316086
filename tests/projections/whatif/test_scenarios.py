"""Scenarios: what can be set, how it is read and refused, and what a scenario's hash is over."""

import re
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections import rulesets
from deepnode_projections.rules.domains import EmissionWeights, Route
from deepnode_projections.rules.registry import Model
from deepnode_projections.whatif import make, parse_settings, preset, presets
from deepnode_projections.whatif.chain_set import read
from deepnode_projections.whatif.fields import FieldSetting, known_fields, with_fields
from tests.projections.rules.told import DN, USDC, word
from tests.projections.whatif.two_domains import D1, D2, MANIFEST

DEFAULT = rulesets.default()


def test_settings_are_numbers_words_or_none() -> None:
    """Reads one of each, with thousands apart as TOML has them."""
    given = ["work.slots=1_000", " work.credit = split", "emission.fixed_weights=none", "governed.*=-1"]
    assert parse_settings(given) == {
        "work.slots": 1_000,
        "work.credit": "split",
        "emission.fixed_weights": None,
        "governed.*": -1,
    }


@pytest.mark.parametrize("text", ["work.slots", "=2", "work.slots=", "a=" + "1" * 300])
def test_a_setting_that_is_none_is_refused(text: str) -> None:
    """Gives no value, no name, or too much."""
    with pytest.raises(BadInput, match="KEY=VALUE"):
        parse_settings([text])


def test_a_setting_that_is_given_twice_is_refused() -> None:
    """Gives a name two values, and a rate two names."""
    with pytest.raises(BadInput, match=r"work\.slots is set twice"):
        parse_settings(["work.slots=1", "work.slots=2"])
    with pytest.raises(BadInput, match="two names of one thing"):
        read({"route.*.DN.yield": 1, "route.*.DN.yield_": 2}, MANIFEST)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"work.nosuch": 1}, r"'work\.nosuch' cannot be set: there are .*work\.credit.*governed\.DOMAIN"),
        ({"work.slots": 65}, r"work\.slots = 65: .*<= 64"),
        ({"work.credit": "all"}, r"work\.credit = all: .*'all'"),
        ({"work.slots": "two"}, r"work\.slots = two: .*int"),
        ({"trust.upheld[9].alpha_ppm": 1}, r"trust\.upheld\[9\]\.alpha_ppm' is no field"),
        ({"emission.fixed_weights.miners": 420_000}, r"fixed_weights and foundation_ppm sum to 430000"),
        ({"weights.*.miners": 1_000_001}, r"weights\.\*\.miners = 1000001: it is a whole number from 0 to 1000000"),
        ({"weights.*.miners": -1}, "from 0 to 1000000"),
        ({"weights.*.miners": "half"}, r"weights\.\*\.miners = half"),
        ({"weights.*.nobody": 1}, r"there are weights\.DOMAIN"),
        ({"weights.0x12.miners": 1}, "32 bytes"),
        ({"model.*.c": 1}, r"model\.MODEL\.\(a\|b\|x\)"),
        ({"route.*.EUR.fees": 1}, "'EUR' in .* is the symbol of 0 tokens: there are DN, USDC"),
    ],
)
def test_what_cannot_be_set_is_refused_with_name_value_and_rule(
    settings: Mapping[str, FieldSetting], said: str
) -> None:
    """Makes scenarios with one fault each, over a ruleset and over whatever the chain has activated."""
    for ruleset in (DEFAULT, None):
        with pytest.raises(BadInput, match=said):
            make(MANIFEST, ruleset=ruleset, settings=settings)


@given(st.sampled_from(known_fields()), st.integers(-1, 10**6 + 1) | st.sampled_from(["split", "equal", "floor", ""]))
def test_any_field_is_set_or_refused(name: str, value: int | str) -> None:
    """Sets any field to anything: either the ruleset has it then, and all else as before, or BadInput says why not."""
    try:
        made = with_fields(DEFAULT, {name: value})
    except BadInput:
        with pytest.raises(BadInput, match=re.escape(name)):
            with_fields(DEFAULT, {name: value})
        return
    changed = {each.path: each.right for each in rulesets.differences(DEFAULT, made)}
    assert changed in ({name: value}, {})


def test_several_fields_are_judged_together() -> None:
    """Sets five weights that only together sum to the whole, and an element of a list."""
    made = with_fields(DEFAULT, {**preset("41-41").settings, "trust.upheld[2].alpha_ppm": 7})
    assert made.emission == rulesets.by_name("fixed_41_41").emission
    assert made.trust.upheld[1].alpha_ppm == 7
    assert with_fields(made, {"emission.fixed_weights": None}).emission.fixed_weights is None


def test_the_presets_are_those_of_the_documents() -> None:
    """Holds 41-41 against the shipped ruleset of the same rules; the other follows work over the domains."""
    assert list(presets()) == ["41-41", "41-41-by-work"]
    fixed = rulesets.by_name("fixed_41_41").emission
    assert with_fields(DEFAULT, preset("41-41").settings).emission == fixed
    by_work = with_fields(DEFAULT, preset("41-41-by-work").settings).emission
    assert by_work == msgspec.structs.replace(fixed, domain_weighting="verified_work")
    with pytest.raises(BadInput, match="'50-50' is no preset: there are 41-41, 41-41-by-work"):
        preset("50-50")


def test_a_scenario_keeps_the_chains_rules_before_its_first_epoch() -> None:
    """Asks for the rules of the epochs before and from the first one, over two rulesets of the chain."""
    split = rulesets.by_name("split_credit")
    scenario = make(MANIFEST, settings={"work.quorum": 3}, from_epoch=5)
    assert scenario.rules(4, split) is split
    assert scenario.rules(5, split) == with_fields(split, {"work.quorum": 3})
    assert scenario.rules(6, DEFAULT) == with_fields(DEFAULT, {"work.quorum": 3})


def test_the_hash_is_over_all_that_decides_and_nothing_else() -> None:
    """Changes the name, the order, the epoch, a value and the ruleset."""
    settings = {"work.quorum": 3, "weights.*.miners": 1}
    one = make(MANIFEST, name="one", settings=settings)
    assert one.digest == make(MANIFEST, name="other", settings=dict(reversed(settings.items()))).digest
    others = [
        make(MANIFEST, settings=settings, from_epoch=1),
        make(MANIFEST, settings={**settings, "work.quorum": 4}),
        make(MANIFEST, settings=settings, ruleset=DEFAULT),
        make(MANIFEST),
    ]
    assert len({one.digest, *(each.digest for each in others)}) == 5


def test_what_is_set_for_one_has_precedence_over_all() -> None:
    """Sets weights and rates for all and for one, and looks at both."""
    named = to_hex(D1)
    found = read({"weights.*.miners": 1, f"weights.{named}.miners": 2, f"weights.{named}.owner": 3}, MANIFEST)
    weights = EmissionWeights(D1, 4, 1, 10, 20, 30, 40, 50)
    assert found.of_weights(weights) == EmissionWeights(D1, 4, 1, 2, 20, 30, 3, 50)
    assert found.of_weights(EmissionWeights(D2, 4, 1, 10, 20, 30, 40, 50)).miners == 1
    routes = read(
        {"route.*.*.fees": 1, "route.*.DN.fees": 2, f"route.{named}.*.fees": 3, "route.*.DN.yield": 4}, MANIFEST
    )
    fees = {
        (domain, asset): routes.of_route(Route(domain, asset, 1, 9, 9, 9, 9, 9, 9, 0))
        for domain in (D1, D2)
        for asset in (DN, USDC)
    }
    assert [each.fees for each in fees.values()] == [3, 3, 2, 1]
    assert [each.yield_ for each in fees.values()] == [4, 9, 4, 9]


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({"a": 1}, (1, 300, 301)),
        ({"b": 5, "a": 1}, (1, 5, 6)),
        ({"x": 40}, (10, 30, 40)),
        ({"x": 41}, (10, 31, 41)),
        ({"x": 50, "a": 20}, (20, 30, 50)),
        ({"x": 50, "b": 20}, (30, 20, 50)),
    ],
)
def test_a_models_x_is_always_a_and_b(settings: Mapping[str, int], rates: tuple[int, int, int]) -> None:
    """Sets some of the three rates of a model that has a 100 and b 300."""
    found = read({f"model.*.{name}": value for name, value in settings.items()}, MANIFEST)
    model = Model(word("x1"), D1, b"\x01" * 20, 100, 300, 400, 1, 0, bytes(32))
    made = found.of_model(model)
    assert (made.a, made.b, made.x) == rates


def test_rates_that_do_not_add_up_are_refused() -> None:
    """Sets all three of a model's rates, and an x that is smaller than a."""
    model = Model(word("x1"), D1, b"\x01" * 20, 100, 300, 400, 1, 0, bytes(32))
    for settings in ({"model.*.a": 1, "model.*.b": 1, "model.*.x": 3}, {"model.*.a": 5, "model.*.x": 3}):
        with pytest.raises(BadInput, match="x is a \\+ b"):
            read(settings, MANIFEST).of_model(model)

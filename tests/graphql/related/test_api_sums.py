"""Sums over running sums, and the network's figures, against the rows added up in Python."""

from collections import defaultdict
from typing import Any

import pytest

from deepnode_graphql.registers.names import field_name
from deepnode_graphql.registers.register import Register, registers_of
from deepnode_graphql.registers.sums import SUMMED
from deepnode_graphql.schema import KINDS, taken_names
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.rules.comparisons import Checked
from deepnode_projections.rules.emission import Allocation
from deepnode_projections.rules.staking import StakeTotal
from deepnode_projections.rules.work import Work
from tests.graphql.conftest import Api
from tests.graphql.related.epoch_books import DN_TOKEN, FIRST
from tests.graphql.small_books import DN

REGISTERS = [each for each in registers_of(KINDS, *taken_names()) if each.kind in SUMMED]


def question(register: Register, by: list[str]) -> tuple[str, str]:
    """The name of a root field of sums, and the fields of the key and of the sums."""
    many = register.names.many
    fields = [field_name(each) for each in register.fields if each.name in (*SUMMED[register.kind], *by)]
    return f"sumsOf{many[:1].upper()}{many[1:]}", " ".join(dict.fromkeys(fields))


CASES: list[tuple[Register, dict[str, int] | None]] = [
    *((each, None) for each in REGISTERS),
    *((each, {"epoch": 2}) for each in REGISTERS if each.kind in (Work, Allocation, StakeTotal, Checked)),
]


@pytest.mark.parametrize(("register", "at"), CASES, ids=[f"{each.kind.TABLE} {at or 'now'}" for each, at in CASES])
def test_sums_are_those_of_the_rows(related: Api, register: Register, at: dict[str, int] | None) -> None:
    """Adds up the rows of the list by each beginning of the key, and by the key's parts one at a time."""
    summed, key = SUMMED[register.kind], [each.name for each in register.key]
    tokens = [name for name in key if name in ("asset", "asset_in")]
    shown = {each.name: field_name(each) for each in register.fields}
    ways = [[], *([name] for name in key), key]
    asked = [
        f"a{number}: {name}(by: [{', '.join(each.upper() for each in by)}], at: $at) {{ count {fields} }}"
        for number, by in enumerate(ways)
        for name, fields in [question(register, [*by, *tokens])]
    ]
    below = f"(first: 500, at: $at) {{ edges {{ node {{ {' '.join(shown.values())} }} }} }}"
    data = related.ask(f"query ($at: At) {{ list: {register.names.many}{below} {' '.join(asked)} }}", at=at)
    for number, by in enumerate(ways):
        groups = [name for name in key if name in (*by, *tokens)]
        expected: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * (1 + len(summed)))
        if not groups:
            assert expected[()]
        for edge in data["list"]["edges"]:
            found = expected[tuple(edge["node"][shown[name]] for name in groups)]
            found[0] += 1
            for place, name in enumerate(summed, 1):
                found[place] += int(edge["node"][shown[name]])
        assert not set(groups) & set(summed)
        assert {
            tuple(each[shown[name]] for name in groups): [each["count"], *(int(each[shown[name]]) for name in summed)]
            for each in data[f"a{number}"]
        } == expected


def test_sums_have_conditions_and_tell_their_token(related: Api) -> None:
    """Adds up what one earner has, and what one domain was allocated."""
    data = related.ask(
        "query ($d: Hex!, $t: Hex!) { sumsOfAllocations(by: [EPOCH], where: { domain: { _eq: $d } })"
        " { epoch domain asset assetRecord { symbol } miners owner } sumsOfEarnedAmounts(where: { asset: { _eq: $t } })"
        " { count amount assetRecord { symbol } } none: sumsOfEarnedAmounts(where: { epoch: { _eq: 9 } }) { amount } }",
        d=to_hex(FIRST), t=to_hex(DN_TOKEN),
    )  # fmt: skip
    assert data["sumsOfAllocations"] == [
        {"epoch": 1, "domain": None, "asset": to_hex(DN_TOKEN), "assetRecord": {"symbol": "DN"}, "miners": "606",
         "owner": "7"},
    ]  # fmt: skip
    assert data["sumsOfEarnedAmounts"] == [{"count": 2, "amount": "613", "assetRecord": {"symbol": "DN"}}]
    assert data["none"] == []


def test_the_networks_figures_are_those_of_its_lists(related: Api) -> None:
    """Counts nodes, models, stakers and stakes in Python, now and at the ends of epochs."""
    for at in (None, {"epoch": 0}, {"epoch": 1}, {"epoch": 2}):
        data = related.ask(
            "query ($at: At) { network(at: $at) { position openEpoch nodes { role active count }"
            " models { status count } stakers staked { targetType targets amount }"
            " supplies { asset { symbol } minted burned supply } }"
            " all: nodes(at: $at, first: 99) { edges { node { role active } } }"
            " models(at: $at, first: 9) { totalCount } stakeTotals(at: $at, first: 99) { edges { node { amount } } }"
            " currentEpoch(of: \"emission\", at: $at) { epoch } _meta(at: $at) { position }"
            " assets { symbol totalSupply(at: $at) } }",
            at=at,
        )  # fmt: skip
        network = data["network"]
        counts: dict[tuple[int, bool], int] = defaultdict(int)
        for edge in data["all"]["edges"]:
            counts[(edge["node"]["role"], edge["node"]["active"])] += 1
        assert {(each["role"], each["active"]): each["count"] for each in network["nodes"]} == counts
        assert sum(each["count"] for each in network["models"]) == data["models"]["totalCount"]
        assert network["openEpoch"] == (data["currentEpoch"] or {"epoch": None})["epoch"]
        assert network["position"] == data["_meta"]["position"]
        staked = sum(int(edge["node"]["amount"]) for edge in data["stakeTotals"]["edges"])
        assert sum(int(each["amount"]) for each in network["staked"]) == staked
        assert {each["asset"]["symbol"]: each["supply"] for each in network["supplies"]} == {
            each["symbol"]: each["totalSupply"] for each in data["assets"]
        }
        assert network["stakers"] == 0


def test_what_was_burned_is_apart_from_what_was_minted(api: Api) -> None:
    """Asks for the supplies of the small history: 17 DN and one unit were minted, 7 units burned."""
    supplies = api.ask("{ network { supplies { asset { symbol } minted burned supply } openEpoch } }")["network"]
    assert supplies["openEpoch"] is None
    assert supplies["supplies"][0] == {
        "asset": {"symbol": "DN"}, "minted": str(17 * DN + 1), "burned": "7", "supply": str(17 * DN - 6),
    }  # fmt: skip

"""Parameters: who may set what, and what is said when it is set."""

from collections.abc import Iterator

import pytest

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_ledger.vocabulary import KINDS
from tests.indexer.devnet.lone_contracts import LoneContracts, Refusal, Said, declared_events, word

ADMIN, GOVERNOR, STRANGER = 0, 1, 2
SCOPE, KEY, BY_HAND = word("vision"), word("floor.miners"), bytes(32)


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """A bare node, on which each test has contracts of its own."""
    with Anvil.start() as started:
        yield started


@pytest.fixture
def chain(node: Anvil) -> LoneContracts:
    """Parameters with one governor, who is not its admin."""
    contracts = LoneContracts(node)
    contracts.create("Parameters", contracts.accounts[ADMIN])
    contracts.grant("Parameters", "GOVERNOR_ROLE", contracts.accounts[GOVERNOR])
    return contracts


def test_the_parameters_events_are_the_vocabularys() -> None:
    """Compares the artifact's ABI with the vocabulary: names, types, order and what is indexed."""
    assert declared_events("Parameters") == set(KINDS["Parameters"])


def test_setting_a_parameter_tells_the_old_value_and_the_new(chain: LoneContracts) -> None:
    """Sets a parameter twice, the second time for a proposal, and reads both events and the value."""
    first = chain.send(GOVERNOR, "Parameters", "set", SCOPE, KEY, 50_000, 0, BY_HAND)
    second = chain.send(GOVERNOR, "Parameters", "set", SCOPE, KEY, 2**256 - 1, 7, word("proposal"))
    told = {"scope": SCOPE, "key": KEY}
    assert first == [
        Said("Parameters", "ParamSet", {**told, "old": 0, "new_": 50_000, "effectiveAt": 0, "proposal": BY_HAND})
    ]
    after = {"old": 50_000, "new_": 2**256 - 1, "effectiveAt": 7, "proposal": word("proposal")}
    assert second == [Said("Parameters", "ParamSet", {**told, **after})]
    assert chain.read("Parameters", "valueOf", SCOPE, KEY) == 2**256 - 1


def test_scopes_and_keys_do_not_touch_each_other(chain: LoneContracts) -> None:
    """Sets the same key in two scopes and another key in one of them, and reads all four places."""
    chain.send(GOVERNOR, "Parameters", "set", SCOPE, KEY, 1, 1, BY_HAND)
    chain.send(GOVERNOR, "Parameters", "set", bytes(32), KEY, 2, 1, BY_HAND)
    chain.send(GOVERNOR, "Parameters", "set", SCOPE, word("other"), 3, 1, BY_HAND)
    places = [(SCOPE, KEY), (bytes(32), KEY), (SCOPE, word("other")), (bytes(32), word("other"))]
    assert [chain.read("Parameters", "valueOf", *place) for place in places] == [1, 2, 3, 0]


def test_ruleset_versions_count_up_by_one(chain: LoneContracts) -> None:
    """Activates versions 1 and 2; 0, a repeated, a skipped and an unspecified one are refused."""
    for version in (1, 2):
        said = chain.send(GOVERNOR, "Parameters", "activateRuleset", version, word("spec"), 10 * version)
        told = {"version": version, "specHash": word("spec"), "fromEpoch": 10 * version}
        assert said == [Said("Parameters", "RulesetActivated", told)]
    for version in (0, 2, 4):
        refusal = chain.refusal(GOVERNOR, "Parameters", "activateRuleset", version, word("spec"), 30)
        assert refusal == Refusal("VersionOutOfOrder", (version, 3))
    assert chain.refusal(GOVERNOR, "Parameters", "activateRuleset", 3, bytes(32), 30) == Refusal("ZeroHash", ())
    assert chain.read("Parameters", "rulesetVersion") == 2


@pytest.mark.parametrize("sender", [ADMIN, STRANGER])
def test_only_a_governor_sets_parameters_and_rulesets(chain: LoneContracts, sender: int) -> None:
    """Lets a stranger, and the admin who only gives out roles, try both functions."""
    for function, arguments in (("set", (SCOPE, KEY, 1, 1, BY_HAND)), ("activateRuleset", (1, word("spec"), 1))):
        refusal = chain.refusal(sender, "Parameters", function, *arguments)
        assert refusal.error == "AccessControlUnauthorizedAccount"
    assert chain.read("Parameters", "valueOf", SCOPE, KEY) == 0
    assert chain.read("Parameters", "rulesetVersion") == 0

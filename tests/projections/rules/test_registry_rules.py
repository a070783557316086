"""Who works where, and which models there are: registrations, and what may follow them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.decoding import ChainEvent
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.registers.record import fields_of
from deepnode_projections.rules import parameters, registry
from deepnode_projections.rules.comparisons import Difference
from deepnode_projections.rules.registry import Model, ModelVersion, Node
from deepnode_projections.rulesets import by_name
from tests.projections.rules.told import Story, address, anything, told, word

BY_HAND = "the contract of nodes has a setting of its own, which follows the parameter by hand"
N1, M1 = to_hex(word("n1")), to_hex(word("m1"))


def story(*events: ChainEvent) -> Story:
    return Story(registry.RULES).tell(*events)


def registered(node: str = "n1", domain: str = "vision", role: int = 1, fee: int = 100, burned: int = 5) -> ChainEvent:
    args = {"domain": domain, "node": node, "operator": "anna", "role": role, "fee": fee, "feeBurned": burned}
    return told("Nodes", "Registered", **args)


def deregistered(node: str = "n1", domain: str = "vision", reason: int = 1) -> ChainEvent:
    return told("Nodes", "Deregistered", domain=domain, node=node, reason=reason)


def made(model: str = "m1", a: int = 300_000, b: int = 200_000, x: int = 500_000) -> ChainEvent:
    args = {"model": model, "domain": "vision", "creator": "cleo", "a": a, "b": b, "x": x, "metaHash": "meta"}
    return told("Models", "ModelRegistered", **args)


def published(version: int, model: str = "m1") -> ChainEvent:
    return told("Models", "ModelVersionPublished", model=model, version=version, hash=f"v{version}")


def status(old: int, new: int, model: str = "m1") -> ChainEvent:
    return told("Models", "ModelStatusChanged", model=model, old=old, new_=new)


def test_a_miner_registers_and_leaves() -> None:
    """Anna registers n1 for a fee of 100, of which 5 are burned, and takes it out again: the record stays."""
    tale = story(registered())
    expected = Node(word("n1"), word("vision"), address("anna"), 1, True, 100, 5, 1, None, None)
    assert tale.state.get(Node, word("n1")) == expected
    tale.tell(deregistered(reason=registry.BY_OPERATOR))
    left = tale.state.get(Node, word("n1"))
    assert left is not None
    assert (left.active, left.left_reason, left.left_epoch, left.registered_position) == (False, 1, 0, 1)
    assert tale.postings == []


def test_a_model_is_registered_improved_and_retired() -> None:
    """Cleo registers m1 with a = 30 % and b = 20 %, publishes two versions, makes it active and retires it."""
    tale = story(made(), published(1), status(1, 2), published(2), status(2, 4))
    assert tale.reasons == []
    assert tale.state.every(Model) == [
        Model(word("m1"), word("vision"), address("cleo"), 300_000, 200_000, 500_000, registry.RETIRED, 2, word("meta"))
    ]
    assert tale.state.every(ModelVersion, word("m1")) == [
        ModelVersion(word("m1"), 1, word("v1"), 2),
        ModelVersion(word("m1"), 2, word("v2"), 4),
    ]


@pytest.mark.parametrize(
    ("before", "event", "reason"),
    [
        ((registered(),), registered(domain="code"), f"node {N1} is taken: it is of domain {to_hex(word('vision'))}"),
        ((registered(), deregistered()), registered(), f"node {N1} is taken"),
        ((), registered(role=3), f"role 3 of node {N1}: a node is a miner (1) or a validator (2)"),
        ((), registered(fee=4, burned=5), f"node {N1} burned 5 of a fee of 4"),
        ((), registered(fee=10**38), f"fee {10**38}: the books hold amounts below 10**38"),
        ((), deregistered(), f"node {N1} was never registered"),
        ((registered(),), deregistered(domain="code"), f"node {N1} is of domain {to_hex(word('vision'))}, not of"),
        ((registered(), deregistered(reason=2)), deregistered(), f"node {N1} has left already, for reason 2"),
        ((registered(),), deregistered(reason=3), f"reason 3: node {N1} can leave by its operator (1) or by a review"),
        ((made(),), made(), f"model {M1} is taken: it is of creator {to_hex(address('cleo'))}"),
        ((), made(x=500_001), f"rates of model {M1}: x = 500001 is not a + b = 300000 + 200000"),
        ((), made(a=2**32 - 1, b=1, x=0), f"rates of model {M1}: x = 0 is not a + b = 4294967295 + 1"),
        ((), made(a=500_000, b=500_001, x=1_000_001), f"rates of model {M1}: x = 1000001 is more than 1000000 ppm"),
        ((), published(1), f"model {M1} was never registered"),
        ((made(),), published(0), f"version 0 of model {M1} cannot follow version 0"),
        ((made(), published(1)), published(1), f"version 1 of model {M1} cannot follow version 1"),
        ((made(),), published(2), f"version 2 of model {M1} cannot follow version 0"),
        ((), status(1, 2), f"model {M1} was never registered"),
        ((made(),), status(1, 1), f"status 1 of model {M1} cannot follow status 1"),
        ((made(),), status(1, 5), f"status 5 of model {M1} cannot follow status 1"),
        ((made(), status(1, 2)), status(2, 1), f"status 1 of model {M1} cannot follow status 2"),
        ((made(), status(1, 3)), status(3, 3), f"status 3 of model {M1} cannot follow status 3"),
        ((made(), status(1, 4)), status(4, 2), f"model {M1} is retired, which is final: status 2 cannot follow"),
    ],
)
def test_what_the_registry_refuses(before: tuple[ChainEvent, ...], event: ChainEvent, reason: str) -> None:
    """Says one thing too much behind a good beginning: it has no effect, and the reason names the values."""
    tale, same = story(*before), story(*before)
    tale.tell(event)
    assert len(tale.reasons) == 1
    assert tale.reasons[0].startswith(reason)
    for kind in registry.RECORDS:
        assert tale.state.every(kind) == same.state.every(kind)


def test_a_status_that_names_another_old_one_is_taken_and_kept_as_a_difference() -> None:
    """The chain says that m1 was paused before; the books know that it was registered only."""
    tale = story(made(), status(3, 2))
    assert tale.state.every(Difference) == [Difference("ModelStatusChanged", "old", word("m1"), 2, 1, 3, "")]
    assert registry.model_of(tale.state, word("m1")).status == registry.ACTIVE


def set_to(key: bytes, value: int, scope: str = "") -> ChainEvent:
    return told("Parameters", "ParamSet", scope=scope, key=key, new_=value)


def test_a_fee_is_held_against_what_governance_has_set() -> None:
    """A fee of 100 and a burn of 5 % everywhere, 6 % in code: n1 agrees with them, n2 paid and burned too little."""
    tale = Story(parameters.RULES, registry.RULES)
    tale.tell(set_to(registry.FEE, 100), set_to(registry.BURN, 50_000), set_to(registry.BURN, 60_000, "code"))
    tale.tell(registered("n1"), registered("n2", "code", fee=99, burned=4))
    assert tale.state.every(Difference) == [
        Difference("Registered", "fee", word("n2"), 5, 100, 99, BY_HAND),
        Difference("Registered", "feeBurned", word("n2"), 5, 5, 4, BY_HAND),
    ]


def test_a_ruleset_may_take_the_variable_burn_of_revenue_alone() -> None:
    """Under the ruleset `burn_of_revenue`, the 5 that were burned of a fee are a difference, whatever d is."""
    spec_hash = by_name("burn_of_revenue").spec_hash
    tale = Story(parameters.RULES, registry.RULES).tell(
        told("Parameters", "RulesetActivated", version=1, specHash=spec_hash), set_to(registry.BURN, 50_000)
    )
    assert tale.tell(registered()).state.every(Difference) == [
        Difference("Registered", "feeBurned", word("n1"), 3, 0, 5, BY_HAND)
    ]


@given(st.lists(st.integers(1, 4), max_size=12))
def test_a_model_goes_from_status_to_status_as_the_contract_lets_it(wanted: list[int]) -> None:
    """Asks for any statuses in turn; the contract's own condition, written down here again, says which are taken."""
    tale, now = story(made()), registry.REGISTERED
    for number, next_status in enumerate(wanted, 2):
        tale.tell(status(now, next_status))
        reverts = now in (4, next_status) or next_status < 2 or next_status > 4
        assert (number in tale.refusals) is reverts
        now = now if reverts else next_status
    assert registry.model_of(tale.state, word("m1")).status == now


_histories = [
    [registered("n1"), deregistered("n1"), registered("n1")],
    [registered("n2", role=2), deregistered("n2", reason=2), deregistered("n2")],
    [made("m1"), published(1), status(1, 2), published(2)],
    [made("m2"), status(1, 4, "m2"), status(4, 2, "m2"), published(1, "m2")],
]


@given(st.permutations([thing for thing, history in enumerate(_histories) for _ in history]))
def test_things_do_not_depend_on_each_other(turns: list[int]) -> None:
    """Interleaves the histories of two nodes and two models in any way: what they are in the end is the same."""
    waiting = [iter(history) for history in _histories]
    mixed = story(*(next(waiting[thing]) for thing in turns))
    apart = story(*(event for history in _histories for event in history))
    assert _settled(mixed) == _settled(apart)
    assert sorted(mixed.reasons) == sorted(apart.reasons)


def _settled(tale: Story) -> list[tuple[object, ...]]:
    """What the records say, but for where it came about."""
    told_of = [each for kind in registry.RECORDS for each in tale.state.every(kind)]
    return [
        tuple(getattr(each, field.name) for field in fields_of(type(each)) if not field.is_place) for each in told_of
    ]


@given(st.lists(anything(["Nodes", "Models"]), max_size=25))
def test_garbage_has_no_effect_and_no_other_error(events: list[ChainEvent]) -> None:
    """Tells any events: each is taken or refused with a reason, and what is taken keeps the rules."""
    tale = story(*events)
    assert all(tale.reasons)
    for model in tale.state.every(Model):
        assert model.x == model.a + model.b <= 1_000_000
        versions = tale.state.every(ModelVersion, model.model)
        assert [each.version for each in versions] == list(range(1, model.version + 1))
    for node in tale.state.every(Node):
        assert node.fee_burned <= node.fee
        assert node.active is (node.left_reason is None)

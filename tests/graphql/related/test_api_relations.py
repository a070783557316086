"""Relations: what a record refers to and who refers to it, against the same asked by hand with conditions."""

import re
from typing import Any

import pytest
from graphql import GraphQLObjectType
from sqlalchemy import event

from deepnode_graphql.registers.references import references_of, way_back
from deepnode_graphql.schema import KINDS, make_schema
from deepnode_ledger.hexadecimal import to_hex
from deepnode_projections.rules.domains import Domain
from deepnode_projections.rules.splits import Carry, SplitTotal
from tests.graphql.conftest import Api
from tests.graphql.registers.thing_books import ThingBooks
from tests.graphql.related.epoch_books import CASE, COLLATERAL, FIRST, MINERS, MODELS, TASKS, VALIDATOR
from tests.graphql.small_books import ALICE, BOB


def nodes(connection: Any) -> list[Any]:
    """The nodes of a page."""
    return [edge["node"] for edge in connection["edges"]]


def test_a_field_that_names_a_thing_has_the_thing_beside_it(related: Api) -> None:
    """Follows tasks to their domains, models, epochs and tokens, and compares with each looked up by its key."""
    data = related.ask(
        "{ tasks { edges { node { task domain model epoch asset domainRecord { domain uri owner }"
        " modelRecord { model creator } epochRecord { epoch openedPosition } assetRecord { symbol address } } } } }"
    )
    assert len(nodes(data["tasks"])) == 6
    for task in nodes(data["tasks"]):
        by_hand = related.ask(
            "query ($d: Hex!, $m: Hex!, $e: Long!) { domain(domain: $d) { domain uri owner }"
            " model(model: $m) { model creator } epoch(epoch: $e) { epoch openedPosition } }",
            d=task["domain"], m=task["model"], e=task["epoch"],
        )  # fmt: skip
        assert (task["domainRecord"], task["modelRecord"], task["epochRecord"]) == tuple(by_hand.values())
        assert task["assetRecord"] == {"symbol": "DN", "address": task["asset"]}


def test_a_subject_is_the_thing_that_its_type_says(related: Api) -> None:
    """Follows scores and reward lines: each has one thing of the three, by its type or role."""
    data = related.ask(
        "{ trustScores { edges { node { subjectType subject subjectNode { node } subjectModel { model } } } }"
        " rewards { edges { node { role subject subjectNode { node } subjectModel { model }"
        " subjectDomain { domain } } } } }"
    )
    for score in nodes(data["trustScores"]):
        expected = {1: "subjectNode", 3: "subjectModel"}[score["subjectType"]]
        assert {name for name in ("subjectNode", "subjectModel") if score[name]} == {expected}
    roles = {"miner": {"node"}, "owner": {"domain"}, "creator": {"model"}}
    for line in nodes(data["rewards"]):
        found = [line[f"subject{each}"] for each in ("Node", "Model", "Domain")]
        assert {name for each in found if each for name in each} == roles[line["role"]]
        assert all(value == line["subject"] for each in found if each for value in each.values())


def test_several_fields_together_name_a_thing(related: Api) -> None:
    """Follows a vote to its proposal, a verdict to its slot and task, and a stake to the sum upon its target."""
    data = related.ask(
        "{ votes(first: 9) { edges { node { voter proposalRecord { stage votes(first: 9) { totalCount } } } } }"
        " validations { edges { node { taskSlotRecord { node nodeRecord { operator } } taskRecord { stage }"
        " validatorRecord { node role } } } }"
        " stakes { edges { node { stakeTotalRecord { amount } targetNode { node role } } } } }"
    )
    assert [vote["proposalRecord"]["stage"] for vote in nodes(data["votes"])] == ["created"] * 2
    [validation] = nodes(data["validations"])
    assert validation["taskSlotRecord"] == {"node": to_hex(MINERS[0]), "nodeRecord": {"operator": to_hex(ALICE)}}
    assert validation["validatorRecord"] == {"node": to_hex(VALIDATOR), "role": 2}
    assert [stake["stakeTotalRecord"]["amount"] for stake in nodes(data["stakes"])] == ["70", "70"]
    assert {stake["targetNode"]["node"] for stake in nodes(data["stakes"])} == {to_hex(VALIDATOR)}


@pytest.mark.parametrize("at", [None, {"epoch": 1}, {"epoch": 2}, {"position": 7}])
def test_a_list_of_a_thing_is_the_list_of_all_with_the_thing_as_a_condition(
    related: Api, at: dict[str, int] | None
) -> None:
    """Asks each domain for its nodes, models and work, each model for its tasks, at several moments, and by hand."""
    data = related.ask(
        "query ($at: At) { domains(at: $at, first: 9) { edges { node { domain"
        " nodes(first: 9) { totalCount edges { cursor node { node active } } }"
        " models(first: 9) { totalCount edges { cursor node { model"
        " tasks(first: 2, orderBy: PRICE_DESC) { totalCount pageInfo { hasNextPage endCursor }"
        " edges { cursor node { task stage position } } } } } }"
        " works(epoch: 1, first: 9) { totalCount edges { cursor node { node vwu } } } } } } }",
        at=at,
    )
    for domain in nodes(data["domains"]):
        by_hand = related.ask(
            "query ($at: At, $d: Hex!) {"
            " nodes(at: $at, first: 9, where: { domain: { _eq: $d } })"
            " { totalCount edges { cursor node { node active } } }"
            " works(at: $at, first: 9, where: { epoch: { _eq: 1 }, domain: { _eq: $d } })"
            " { totalCount edges { cursor node { node vwu } } } }",
            at=at, d=domain["domain"],
        )  # fmt: skip
        assert (domain["nodes"], domain["works"]) == (by_hand["nodes"], by_hand["works"])
        for model in nodes(domain["models"]):
            tasks = related.ask(
                "query ($at: At, $m: Hex!) {"
                " tasks(at: $at, first: 2, orderBy: PRICE_DESC, where: { model: { _eq: $m } }) {"
                " totalCount pageInfo { hasNextPage endCursor } edges { cursor node { task stage position } } } }",
                at=at, m=model["model"],
            )  # fmt: skip
            assert model["tasks"] == tasks["tasks"]


def test_a_list_of_a_thing_is_walked_from_its_cursors(related: Api) -> None:
    """Walks the tasks of a model two by two, forward and backward."""
    query = (
        "query ($m: Hex!, $f: Int, $a: String, $l: Int, $b: String) { model(model: $m) { tasks(first: $f, after: $a,"
        " last: $l, before: $b) { pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
        " edges { node { task } } } } }"
    )
    whole = [task["task"] for task in nodes(related.ask(query, m=to_hex(MODELS[0]))["model"]["tasks"])]
    assert len(whole) == 3
    first = related.ask(query, m=to_hex(MODELS[0]), f=2)["model"]["tasks"]
    rest = related.ask(query, m=to_hex(MODELS[0]), f=2, a=first["pageInfo"]["endCursor"])["model"]["tasks"]
    assert [task["task"] for task in [*nodes(first), *nodes(rest)]] == whole
    last = related.ask(query, m=to_hex(MODELS[0]), l=2)["model"]["tasks"]
    assert [task["task"] for task in nodes(last)] == whole[1:]
    assert last["pageInfo"]["hasPreviousPage"]


def test_a_holder_has_what_names_its_address(related: Api) -> None:
    """Asks for what Alice operates, earns, stakes and votes."""
    holder = related.ask(
        "query ($h: Address!, $a: Hex!) { holder(address: $h) { nodes { totalCount edges { node { node } } }"
        " rewards(where: { role: { _eq: \"miner\" } }) { totalCount edges { node { amount epochRecord { epoch } } } }"
        " earnedAmounts(asset: $a) { edges { node { epoch amount } } } stakes { edges { node { amount } } }"
        " votes { edges { node { choice } } } votingPower { amount } } }",
        h=to_hex(ALICE), a=related.ask("{ assets { address } }")["assets"][0]["address"],
    )["holder"]  # fmt: skip
    assert holder["nodes"]["totalCount"] == 2
    assert sorted(line["amount"] for line in nodes(holder["rewards"])) == ["101", "202", "303"]
    assert nodes(holder["earnedAmounts"]) == [{"epoch": 1, "amount": "606"}]
    assert (nodes(holder["stakes"]), nodes(holder["votes"])) == ([{"amount": "30"}], [{"choice": "for"}])
    assert holder["votingPower"] is None


def test_a_record_leads_to_the_log_and_to_what_moved(related: Api) -> None:
    """Follows records to the entries at their positions; here each block had one transfer."""
    data = related.ask(
        "{ epochs { edges { node { position logEntry { position event entry { position } } entry { position kind"
        " postings { amount } } } } } }"
    )
    for epoch in nodes(data["epochs"]):
        place = epoch["position"]
        assert epoch["logEntry"] == {"position": place, "event": "Transfer", "entry": {"position": place}}
        assert epoch["entry"]["kind"] == "Transfer"
        assert sorted(posting["amount"] for posting in epoch["entry"]["postings"]) == ["-1", "1"]


def test_relations_of_a_page_cost_one_statement_each(related: Api, related_books: ThingBooks) -> None:
    """Counts the statements of a query with relations within relations: as many for six rows as for one."""
    query = (
        "query ($n: Int) { tasks(first: $n) { totalCount edges { node { domainRecord { nodes(first: 5) { edges { node {"
        " node collateral { free } } } } } modelRecord { tasks { totalCount edges { node { taskSlots { edges { node {"
        " nodeRecord { operator } } } } } } } } logEntry { position } entry { position } } } } }"
    )
    app: Any = related.http.app
    engine = app.state.service.engine
    counts = []
    for size in (1, 6):
        said: list[str] = []

        def note(conn: Any, cursor: Any, statement: str, *rest: Any, said: list[str] = said) -> None:
            said.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        related.ask(query, n=size)
        event.remove(engine, "before_cursor_execute", note)
        counts.append(len(said))
    assert counts[0] == counts[1] <= 13
    assert related_books.held


def test_a_case_leads_to_its_node_task_and_reporters_words(related: Api) -> None:
    """Follows a case, whose node leads back to it, and a case that nothing came after."""
    case = related.ask(
        "query ($c: Hex!, $of: Hex!) { collateralCase(case: $c, contract: $of) { nodeRecord { collateralCases { edges {"
        " node { case } } } collateral { frozen } } taskRecord { task } successorRecord { case } reporter } }",
        c=to_hex(CASE), of=to_hex(COLLATERAL),
    )["collateralCase"]  # fmt: skip
    assert nodes(case["nodeRecord"]["collateralCases"]) == [{"case": to_hex(CASE)}]
    assert case["nodeRecord"]["collateral"] == {"frozen": "300"}
    assert (case["taskRecord"], case["successorRecord"]) == ({"task": to_hex(TASKS[1])}, None)
    assert case["reporter"] == to_hex(BOB)


def test_a_field_that_is_only_called_like_a_thing_refers_to_nothing() -> None:
    """Looks at amounts that are called domain: the domain's part of a payment."""
    for kind in (Carry, SplitTotal):
        assert Domain not in {each.target for each in references_of(kind, KINDS)}


def test_every_reference_of_every_kind_is_in_the_schema() -> None:
    """Goes through the declarations: each has a field that leads there, and one back where an index serves it."""
    types = make_schema().core.type_map
    ways = 0
    for kind in KINDS:
        for reference in references_of(kind, KINDS):
            source = types[_type_name(kind.TABLE)]
            target = _type_name(reference.target.TABLE)
            assert isinstance(source, GraphQLObjectType)
            ends = {
                str(field.type) for name, field in source.fields.items() if re.search("Record|Node|Model|Domain", name)
            }
            assert target in ends, (kind.TABLE, reference)
            if way_back(reference) is not None:
                back = types[target]
                assert isinstance(back, GraphQLObjectType)
                made = {str(field.type).rstrip("!") for field in back.fields.values()}
                assert made & {source.name, f"{source.name}Connection"}, (kind.TABLE, reference)
                ways += 1
    assert ways > 50


def _type_name(table: str) -> str:
    return "".join(word.capitalize() for word in table.split("_"))


def test_an_unknown_domain_has_empty_lists_and_a_missing_thing_is_null(related: Api) -> None:
    """Asks before anything was registered: what hangs on the domain is empty then."""
    domain = related.ask(
        "query ($d: Hex!) { domain(domain: $d, at: { position: 1 }) { nodes { totalCount edges { cursor } }"
        " economics(epoch: 1) { epoch } } }",
        d=to_hex(FIRST),
    )["domain"]
    assert domain == {"nodes": {"totalCount": 0, "edges": []}, "economics": None}

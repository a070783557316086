"""The proxy before a real node: it is invisible without faults, deals each fault, repeats itself by its seed."""

import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

import msgspec
import pytest
import urllib3

from deepnode_indexer.devnet.faults import BUILT_IN, AlterLogs, Delay, FaultProxy, HideLogs, PortTaken, RateLimit, drawn
from deepnode_indexer.devnet.json_rpc import JsonRpc, NodeUnreachableError
from deepnode_ledger.errors import BadInput
from tests.indexer.devnet.faulty_node import Json, Played, Question, Scene, tried
from tests.indexer.fake_node import as_json, serving

BLOCKS = 30


def test_without_faults_the_proxy_is_not_to_be_seen(scene: Scene) -> None:
    """Asks alone and in a batch, errors included, and compares with the node's own answers."""
    questions = [*scene.questions(), ("eth_noSuchMethod", [])]
    for profile in ("honest", "silent"):
        # The second one reads and writes every answer; with no chance to strike it changes none.
        scene.proxy.set([msgspec.structs.replace(fault, chance=0.0) for fault in BUILT_IN[profile].faults])
        for question in questions:
            assert str(scene.through.attempt([question])) == str(scene.direct.attempt([question]))
        assert str(scene.through.attempt(questions)) == str(scene.direct.attempt(questions))
    assert scene.proxy.dealt == {}
    assert (scene.proxy.requests, scene.proxy.calls) == (2 * len(questions) + 2, 4 * len(questions))


def test_the_same_seed_deals_the_same_faults_to_many_threads(scene: Scene) -> None:
    """Asks the same questions from one thread and from eight: what was dealt, and to what, must agree."""
    questions: list[Question] = [("eth_getLogs", [{"fromBlock": hex(n), "toBlock": hex(n)}]) for n in range(1, BLOCKS)]
    seen = []
    for seed, threads in ((1, 1), (1, 8), (2, 1)):
        scene.proxy.set([HideLogs(chance=0.3), AlterLogs(chance=0.3, when="always"), RateLimit(chance=0.2)], seed)
        before = len(scene.proxy.recent)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda question: tried(scene.proxy.url, question), questions * 2))
        seen.append(sorted((each.kind, each.subject) for each in scene.proxy.recent[before:]))
    assert seen[0] == seen[1] != seen[2]


def test_every_fault_passes_when_it_is_limited(scene: Scene) -> None:
    """Draws twenty profiles, limits them, and asks until the answers are true, which they must become."""
    questions = scene.questions()
    truth = scene.direct.batch(questions)
    for number in range(20):
        profile = drawn(Random(number), lasting=number % 4 == 0).limited(2)
        scene.proxy.set(profile, seed=number)
        for _ in range(2 * len(profile.faults) + 1):
            tried(scene.proxy.url, *questions)
        tries = 0
        while tried(scene.proxy.url, *questions) != truth:
            tries += 1
            assert tries < 200, f"{profile} still lies"


def test_every_built_in_profile_can_be_dealt(scene: Scene) -> None:
    """Asks through each profile; a chance of one for each of its faults must not bring down the proxy."""
    questions = scene.questions()
    for name, profile in BUILT_IN.items():
        for fault in profile.faults:
            if not isinstance(fault, Delay):
                scene.proxy.set([msgspec.structs.replace(fault, chance=1.0)])
                tried(scene.proxy.url, *questions)
        scene.proxy.set(name)
        tried(scene.proxy.url, *questions)
    scene.proxy.set("honest")
    assert scene.through.batch(questions) == scene.direct.batch(questions)


def test_a_fault_may_be_limited_in_number(scene: Scene) -> None:
    """Deals a fault that is sure to strike three times, then asks three times more."""
    scene.proxy.set([HideLogs(times=3)])
    question: Question = scene.questions()[1]
    told = [scene.through.batch([question])[0] for _ in range(6)]
    assert [bool(logs) for logs in told] == [False, False, False, True, True, True]
    assert scene.proxy.dealt == {"hide-logs": 3}


def test_the_profile_changes_over_http_while_it_runs(scene: Scene) -> None:
    """Sets faults by JSON, by name and by TOML, reads them back, and is refused with the reason."""
    control = scene.proxy.url + "/faults"

    def post(body: bytes, kind: str = "application/json") -> Json:
        answer = urllib3.request("POST", control, body=body, headers={"content-type": kind})
        return answer.status, answer.json()

    assert post(b'{"faults": [{"kind": "hide-logs", "blocks": [3]}], "seed": 9}')[1]["seed"] == 9
    assert list(scene.proxy.profile.faults) == [HideLogs(blocks=(3,))]
    assert post(b'{"profile": "flaky"}')[1]["profile"] == "flaky"
    assert post(b'[[faults]]\nkind = "delay"\nseconds_max = 0.0', "application/toml")[0] == 200
    assert list(scene.proxy.profile.faults) == [Delay(seconds_max=0.0)]
    for bad in (b'{"profile": "/etc/passwd"}', b'{"faults": [{"kind": "hide-logs", "chance": 2}]}', b"{"):
        status, answer = post(bad)
        assert status == 400
        assert answer["error"]
    scene.through.call("eth_chainId")
    state = urllib3.request("GET", control).json()
    assert (state["dealt"], state["requests"], state["target"]) == ({"delay": 1}, 1, scene.node.url)


def test_a_node_that_answers_less_than_it_was_asked_does_so_through_the_proxy() -> None:
    """Asks two calls of a node that answers one of them, and one that refuses the batch as a whole."""
    calls: Json = [{"jsonrpc": "2.0", "id": id_, "method": "eth_chainId", "params": []} for id_ in ("a", "b")]
    refusal: Json = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no batches here"}}
    said: Json = [{"id": 1, "result": "0x1"}]
    with serving(lambda _: as_json(said)) as url, FaultProxy(url, [HideLogs()]) as proxy:
        answer = urllib3.request("POST", proxy.url, body=msgspec.json.encode(calls))
        assert answer.json() == [{"id": "b", "result": "0x1"}]
        said = refusal
        assert urllib3.request("POST", proxy.url, body=msgspec.json.encode(calls)).json() == refusal


def test_a_node_that_is_away_is_a_bad_gateway() -> None:
    """Puts the proxy before a port on which nobody listens: HTTP 502, without the key that the URL holds."""
    with FaultProxy("http://127.0.0.1:9/v2/secret") as proxy:
        answer = urllib3.request("POST", proxy.url, body=b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}')
        assert answer.status == 502
        assert b"secret" not in answer.data
        assert "secret" not in str(proxy.state())


def test_stopping_ends_every_connection(played_node: Played) -> None:
    """Stops a proxy amid a long delay, with a connection that is kept alive: both end, and the port is free again."""
    proxy = FaultProxy(played_node.node.url, [Delay(seconds_min=30, seconds_max=30)])
    proxy.start()
    url = proxy.url
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(tried, url, ("eth_chainId", []))
        while not proxy.dealt:
            time.sleep(0.01)
        started = time.monotonic()
        proxy.stop()
        proxy.stop()
        waiting.result(5)
    assert time.monotonic() - started < 5
    with pytest.raises(NodeUnreachableError):
        JsonRpc(url).call("eth_chainId")


def test_a_taken_port_and_a_wrong_target_are_named(played_node: Played) -> None:
    """Asks for the node's own port, and for a target that is no HTTP."""
    port = int(played_node.node.url.rsplit(":", 1)[1])
    with pytest.raises(PortTaken, match=str(port)):
        FaultProxy(played_node.node.url, port=port).start()
    with pytest.raises(BadInput, match="http"):
        FaultProxy("ws://127.0.0.1:8545")

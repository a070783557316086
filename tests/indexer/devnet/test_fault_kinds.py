"""What each kind of fault does to the answers of a real node, and that it leaves the other answers alone."""

import contextlib
from typing import Any

import msgspec
import pytest
import urllib3

from deepnode_indexer.devnet.faults import (
    AlterHeaders,
    AlterLogs,
    AlterReceipts,
    BehindHead,
    CapLogs,
    CapRange,
    ChangeMind,
    Cut,
    Delay,
    DisorderLogs,
    FailCalls,
    FailRequests,
    Fault,
    HideLogs,
    MoveFinality,
    NullBlocks,
    OtherChain,
    RateLimit,
    StaleBranch,
    TruncateLogs,
    WithoutTimes,
    WrongIds,
)
from deepnode_indexer.devnet.json_rpc import NodeError
from tests.indexer.devnet.faulty_node import Json, Scene

RANGE, OF_BLOCK, HEADER, FINAL, BY_HASH, RECEIPTS, HEAD, CHAIN = range(8)


@pytest.mark.parametrize(
    ("fault", "lies"),
    [
        (HideLogs(), [RANGE, OF_BLOCK]),
        (HideLogs(receipts=True), [RANGE, OF_BLOCK, RECEIPTS]),
        (HideLogs(addresses=("0x" + "11" * 20,)), []),
        (HideLogs(blocks=(1,)), []),
        (TruncateLogs(logs=3), [RANGE, OF_BLOCK]),
        (AlterLogs(), [RANGE, OF_BLOCK]),
        (AlterLogs(field="topics"), [RANGE, OF_BLOCK]),
        (AlterLogs(field="removed"), [RANGE, OF_BLOCK]),
        (DisorderLogs(), [RANGE, OF_BLOCK]),
        (DisorderLogs(order="doubled"), [RANGE, OF_BLOCK]),
        (WithoutTimes(), [RANGE, OF_BLOCK]),
        (BehindHead(), [RANGE, OF_BLOCK, HEADER, BY_HASH, RECEIPTS, HEAD]),
        (BehindHead(logs_only=True), [RANGE, OF_BLOCK]),
        (NullBlocks(), [HEADER, FINAL, BY_HASH]),
        (AlterHeaders(), [HEADER, FINAL, BY_HASH]),
        (AlterHeaders(field="noSuchField"), []),
        (AlterReceipts(), [RECEIPTS]),
        (AlterReceipts(lie="null"), [RECEIPTS]),
        (AlterReceipts(lie="no-method"), [RECEIPTS]),
        (AlterReceipts(lie="data"), [RECEIPTS]),
        (AlterReceipts(lie="omitted"), [RECEIPTS]),
        (AlterReceipts(lie="status"), [RECEIPTS]),
        (MoveFinality(), [FINAL]),
        (OtherChain(), [CHAIN]),
        (CapRange(blocks=3), [RANGE]),
        (CapRange(blocks=100), []),
        (CapLogs(logs=3), [RANGE, OF_BLOCK]),
        (RateLimit(style="call"), list(range(8))),
        (FailCalls(methods=("eth_chainId",)), [CHAIN]),
        (Delay(seconds_max=0.01), []),
        (WrongIds(ids="swapped"), [RANGE, OF_BLOCK]),
        (StaleBranch(), []),
    ],
)
def test_a_fault_changes_its_own_answers_only(scene: Scene, fault: Fault, lies: list[int]) -> None:
    """Asks one question of each kind in a batch, through the proxy and directly, and names those that differ."""
    scene.proxy.set([fault])
    assert scene.lies() == lies
    assert set(scene.proxy.dealt) == ({fault.kind} if lies or isinstance(fault, Delay) else set())


def test_a_hidden_block_is_hidden_for_ever_once_or_now_and_then(scene: Scene) -> None:
    """Asks ten times for each of 31 blocks: `always` must not change its mind, `once` must hide each block once."""
    head = int(scene.direct.call("eth_blockNumber"), 16)
    blocks = [hex(number) for number in range(head - 30, head + 1)]
    asked = [("eth_getLogs", [{"fromBlock": block, "toBlock": block}]) for block in blocks]
    full = [bool(logs) for logs in scene.direct.batch(asked)]

    def hidden(fault: HideLogs) -> list[set[int]]:
        scene.proxy.set([fault])
        told = [scene.through.batch(asked) for _ in range(10)]
        return [{at for at, logs in enumerate(each) if full[at] and not logs} for each in told]

    always = hidden(HideLogs(chance=0.3, when="always"))
    assert all(each == always[0] for each in always)
    assert 0 < len(always[0]) < sum(full)
    once = hidden(HideLogs(chance=0.3, when="once"))
    assert once[0]
    assert once[1:] == [set()] * 9
    sometimes = hidden(HideLogs(chance=0.3))
    assert len({frozenset(each) for each in sometimes}) > 5


def test_after_a_reorg_the_old_branch_is_told_for_a_while(scene: Scene) -> None:
    """Reorganises six blocks: the first requests see all of the old branch, by number, by hash and in ranges."""
    scene.proxy.set([StaleBranch(requests=3)])
    questions = scene.questions()
    before = scene.direct.batch(questions)
    assert scene.through.batch(questions) == before
    scene.economy.reorg(6)
    for _ in range(4):
        scene.economy.step()
    for _ in range(3):
        told = scene.through.batch(questions)
        assert [at for at in range(8) if told[at] != before[at] and at != FINAL] == []
        # A node on the old branch has heard nothing of the new one.
        new = scene.direct.call("eth_getBlockByNumber", "latest", False)["hash"]
        assert new != told[HEADER]["hash"]
    assert scene.proxy.dealt == {"stale-branch": 3}
    assert scene.lies() == []


def test_a_node_that_is_behind_knows_nothing_above_its_head(scene: Scene) -> None:
    """Asks by tag, number and hash: the newest block is three lower, and what is above it is null or empty."""
    scene.proxy.set([BehindHead(blocks=3)])
    head = int(scene.direct.call("eth_blockNumber"), 16)
    top = scene.direct.call("eth_getBlockByNumber", hex(head), False)["hash"]
    assert scene.through.call("eth_blockNumber") == hex(head - 3)
    assert scene.through.call("eth_getBlockByNumber", "latest", False)["number"] == hex(head - 3)
    assert scene.through.call("eth_getBlockByNumber", hex(head - 2), False) is None
    assert scene.through.call("eth_getBlockByHash", top, False) is None
    assert scene.through.call("eth_getBlockReceipts", top) is None
    assert scene.through.call("eth_getLogs", {"blockHash": top}) == []
    logs = scene.through.call("eth_getLogs", {"fromBlock": hex(head - 5), "toBlock": "latest"})
    assert max(int(log["blockNumber"], 16) for log in logs) <= head - 3
    assert scene.through.call("eth_getLogs", {"fromBlock": hex(head - 1), "toBlock": hex(head)}) == []


def test_a_mind_changes_at_the_second_question(scene: Scene) -> None:
    """Asks one question four times: true, false, true, false."""
    scene.proxy.set([ChangeMind()])
    head = scene.direct.call("eth_blockNumber")
    true = scene.direct.call("eth_getBlockByNumber", head, False)
    told = [scene.through.call("eth_getBlockByNumber", head, False) == true for _ in range(4)]
    assert told == [True, False, True, False]


def test_finality_can_move_back(scene: Scene) -> None:
    """Asks for the safe block, which is above block 0 on this chain, with and without the fault."""
    true = int(scene.direct.call("eth_getBlockByNumber", "safe", False)["number"], 16)
    scene.proxy.set([MoveFinality(blocks=2)])
    assert scene.through.call("eth_getBlockByNumber", "safe", False)["number"] == hex(true - 2)


@pytest.mark.parametrize(
    ("fault", "message", "code"),
    [
        (CapRange(blocks=2, provider="alchemy"), r"this block range should work: \[0x1, 0x2\]", -32600),
        (CapRange(blocks=2, provider="cloudflare"), "Max range: 2 ", -32047),
        (CapRange(blocks=1000, provider="quicknode"), "", 0),
        (CapLogs(logs=1, provider="infura"), r"more than 1 results. Try with this block range \[0x1, 0x", -32005),
        (CapLogs(logs=1, provider="reth"), "query exceeds max results 1, retry with the range 1-", -32602),
    ],
)
def test_limits_are_told_in_the_words_of_providers(scene: Scene, fault: Fault, message: str, code: int) -> None:
    """Asks for the logs of thirty blocks, which is more than some of these limits allow."""
    scene.proxy.set([fault])
    asked = {"fromBlock": "0x1", "toBlock": hex(30)}
    if not message:
        assert scene.through.call("eth_getLogs", asked) == scene.direct.call("eth_getLogs", asked)
        return
    with pytest.raises(NodeError, match=message) as refused:
        scene.through.call("eth_getLogs", asked)
    assert refused.value.code == code


def _posted(scene: Scene, calls: Json) -> urllib3.BaseHTTPResponse:
    return urllib3.request(
        "POST", scene.proxy.url, body=msgspec.json.encode(calls), retries=False, timeout=5, preload_content=True
    )


def test_too_many_requests_are_refused_in_three_ways(scene: Scene) -> None:
    """Reads status, header and body of each; then lets a real limit of five calls a second fill up."""
    call = {"jsonrpc": "2.0", "id": "a", "method": "eth_chainId", "params": []}
    scene.proxy.set([RateLimit(retry_after_seconds=2)])
    answer = _posted(scene, call)
    assert (answer.status, answer.headers["retry-after"], answer.json()["error"]["code"]) == (429, "2", -32005)
    scene.proxy.set([RateLimit(style="call")])
    [told] = _posted(scene, [call]).json()
    assert (told["id"], told["error"]["code"]) == ("a", -32005)
    scene.proxy.set([RateLimit(style="batch")])
    answer = _posted(scene, [call, call])
    assert (answer.status, answer.json()["error"]["code"]) == (200, -32005)
    scene.proxy.set([RateLimit(per_second=5)])
    assert [_posted(scene, call).status for _ in range(7)].count(429) in (1, 2)


@pytest.mark.parametrize("at", ["before", "unanswered", "head", "body"])
def test_a_connection_is_cut(scene: Scene, at: Any) -> None:
    """Asks over a fresh connection: no answer comes, or half of one, and the next connection is whole."""
    scene.proxy.set([Cut(at=at, times=1)])
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", True]}
    if at == "head":
        # Python's client takes half a head for a whole one, and what follows for an empty body.
        assert _posted(scene, call).data == b""
    else:
        with pytest.raises(urllib3.exceptions.ProtocolError):
            _posted(scene, call)
    assert "result" in _posted(scene, call).json()


def test_requests_fail_with_a_gateways_page(scene: Scene) -> None:
    """Reads status and body; a status of 200 is garbage that is no JSON."""
    for status in (200, 503):
        scene.proxy.set([FailRequests(status=status, body="<html>sorry</html>")])
        answer = _posted(scene, [])
        assert answer.status == 200, "what is no request is the node's to refuse"
        answer = _posted(scene, {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"})
        assert (answer.status, answer.data) == (status, b"<html>sorry</html>")


def test_ids_are_wrong_in_five_ways(scene: Scene) -> None:
    """Asks two calls in a batch and reads the ids that come back."""
    calls: Json = [{"jsonrpc": "2.0", "id": id_, "method": "eth_chainId", "params": []} for id_ in (1, 2)]
    told = {}
    for ids in ("shifted", "swapped", "missing", "null", "doubled"):
        scene.proxy.set([msgspec.convert({"kind": "wrong-ids", "ids": ids}, WrongIds)])
        with contextlib.suppress(KeyError):
            told[ids] = [each["id"] for each in _posted(scene, calls).json()]
    assert told == {
        "shifted": [1_000_000, 1_000_001],
        "swapped": [2, 1],
        "missing": [1],
        "null": [None, 2],
        "doubled": [1, 2, 2],
    }

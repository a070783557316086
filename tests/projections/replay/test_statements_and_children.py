"""What a statement can name of a factory's children depends on the log alone, not on how much is read at a time."""

import json
from pathlib import Path

import pytest

from deepnode_ledger.batch import from_rows, row_of
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.record import ChainLog, TaskEvent
from deepnode_ledger.statement_data import TASK_CREATED
from deepnode_projections.replay import Replay
from deepnode_projections.rules.tasks import Task
from tests.ledger.factories import FACTORY, created, factories
from tests.ledger.histories import CHAIN_ID, ref

TOKEN = b"\x70" * 20
FUND = 'name = "Fund"\nkind = "Token"\nsymbol = "FUND"\ndecimals = 6\nabi = "Token.json"\n'
PRODUCER = "urn:producer:1"


def asked(number: int) -> TaskEvent:
    """A task that is priced in the child."""
    ids = {name: to_hex(bytes([number]) * 32) for name in ("task", "domain", "model", "consumer_hash", "input_hash")}
    data = {**ids, "version": 1, "price": "5", "asset": to_hex(TOKEN), "difficulty_ppm": 1_000_000}
    said = {"id": f"event-{number}", "source": PRODUCER, "type": TASK_CREATED, "sequence": str(number)}
    payload = json.dumps({**said, "time": "2026-01-31T12:00:00Z", "data": data}).encode()
    return TaskEvent(PRODUCER, f"event-{number}", number, TASK_CREATED, payload, bytes(65))


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_token_is_known_behind_its_announcement(tmp_path: Path, size: int) -> None:
    """Prices a task in a token before a factory announces it, and another behind that: only the second is created."""
    kinds = {
        'name = "Round"\nkind = "Other"\nabi = "Round.json"\n': FUND,
        '[[contracts.creates.creates]]\nevent = "Opened"\nargument = "vault"\nname = "Vault"\nkind = "Other"\n'
        'abi = "Vault.json"\n': "",
    }
    manifest = factories(tmp_path, **kinds)
    block = ref(5)
    said: list[TaskEvent | ChainLog] = [asked(1), created(manifest.contracts[FACTORY], TOKEN, block, 0), asked(2)]
    batch = from_rows([row_of(position, CHAIN_ID, block, each) for position, each in enumerate(said, 1)])
    replay = Replay(manifest)
    refused = [each for start in range(0, 3, size) for each in replay.feed(batch.slice(start, size)).refused]
    assert [each.position for each in refused] == [1]
    assert "no token of the manifest" in refused[0].reason
    assert [each.created_position for each in replay.records(Task)] == [3]

"""A task event's signature is checked from its bytes alone, by either scheme, and by eth-account's own hand."""

import json
import re
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from deepnode_ledger.errors import BadInput
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Producer
from deepnode_ledger.record import TaskEvent
from deepnode_ledger.task_event import open_envelope
from deepnode_ledger.task_signature import DOMAIN_NAME, DOMAIN_VERSION, NotGenuine, Scheme, signed_hash, verify
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, block, contents
from tests.ledger.paper_deployment import (
    OTHER_KEY,
    PRODUCER,
    PRODUCER_KEY,
    address_of,
    envelope,
    payload,
    signature_of,
)

ROOT = Path(__file__).resolve().parents[2]
KEY = address_of(PRODUCER_KEY)
PRODUCERS = {PRODUCER: Producer(PRODUCER, KEY)}


def typed_signature(text: bytes, key: bytes = PRODUCER_KEY, *, chain_id: int = CHAIN_ID) -> bytes:
    """An EIP-712 signature (65 bytes) over the typed data of docs/task-events.md, made by eth-account."""
    message = encode_typed_data(
        {"name": DOMAIN_NAME, "version": DOMAIN_VERSION, "chainId": chain_id},
        {"TaskEvent": [{"name": "payload", "type": "string"}]},
        {"payload": text.decode()},
    )
    return bytes(Account.sign_message(message, key).signature)


def test_either_scheme_opens_an_envelope() -> None:
    """Signs one payload both ways: the event is the same but for its signature."""
    text = payload(1)
    for signature in (signature_of(text), typed_signature(text)):
        event = open_envelope(envelope(text, signature=signature), PRODUCERS, CHAIN_ID)
        assert event == TaskEvent(PRODUCER, "event-1", 1, "deepnode.task.created", text, signature)


def test_the_documented_typed_data_are_what_is_checked() -> None:
    """Takes the JSON of docs/task-events.md and hands it to eth-account as it stands."""
    text = (ROOT / "docs/task-events.md").read_text()
    [typed] = [each for each in re.findall(r"```json\n(.*?)```", text, re.DOTALL) if "EIP712Domain" in each]
    message = json.loads(typed)
    signed = Account.sign_message(encode_typed_data(full_message=message), PRODUCER_KEY)
    payload = message["message"]["payload"].encode()
    assert bytes(signed.message_hash) == signed_hash(Scheme.EIP712, payload, message["domain"]["chainId"])


def test_typed_data_are_of_one_chain() -> None:
    """Signs for another chain's id, with another key and over another text."""
    text = payload(1)
    forged = [typed_signature(text, chain_id=CHAIN_ID + 1), typed_signature(text, OTHER_KEY)]
    forged.append(typed_signature(payload(2)))
    for signature in forged:
        with pytest.raises(BadInput, match=r"event 'event-1' of .* must be signed by .* by EIP-191 or .* by EIP-712"):
            open_envelope(envelope(text, signature=signature), PRODUCERS, CHAIN_ID)


@given(st.text().map(str.encode), st.integers(1, 2**53))
def test_the_scheme_is_told_from_the_bytes(text: bytes, chain_id: int) -> None:
    """Signs any text by both schemes with eth-account: each is known for what it is, and the hashes differ."""
    assert verify(text, signature_of(text), KEY, chain_id) is Scheme.EIP191
    assert verify(text, typed_signature(text, chain_id=chain_id), KEY, chain_id) is Scheme.EIP712
    assert signed_hash(Scheme.EIP191, text, chain_id) != signed_hash(Scheme.EIP712, text, chain_id)


@pytest.mark.parametrize("length", [0, 64, 66])
def test_a_stored_signature_of_another_length_is_not_genuine(length: int) -> None:
    """Offers what a damaged store could hold."""
    with pytest.raises(NotGenuine):
        verify(payload(1), bytes(length), KEY, CHAIN_ID)


def test_what_the_log_holds_is_checked_again_from_the_log_alone(log: Log) -> None:
    """Puts events of both schemes in, seals them, reads them back, and verifies each with its entry's own chain id."""
    log.extend(None, [block(FIRST_BLOCK)])
    lines = [envelope(payload(1)), envelope(payload(2), signature=typed_signature(payload(2)))]
    log.accept([open_envelope(line, PRODUCERS, CHAIN_ID) for line in lines])
    log.seal(block(FIRST_BLOCK).header.block)
    schemes = []
    for entry in contents(log):
        assert isinstance(entry.record, TaskEvent)
        schemes.append(verify(entry.record.payload, entry.record.signature, KEY, entry.chain_id))
    assert schemes == [Scheme.EIP191, Scheme.EIP712]

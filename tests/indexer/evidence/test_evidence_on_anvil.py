"""Every type of transaction on a real node: its headers keep their hashes, its receipts their roots."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import rlp
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from deepnode_indexer.devnet.anvil import Anvil
from deepnode_indexer.evidence import ReceiptsDiffer, bloom, header, receipt
from deepnode_ledger.hexadecimal import from_hex, to_hex

CHAIN_ID = 31337
SIGNER: LocalAccount = Account.from_key(b"\x01" * 32)
BLOB_BYTES = 131_072

# Logs the call's data under two topics, 42 and the caller: CALLDATACOPY, then LOG2.
ECHO = bytes.fromhex("365f5f3733602a365fa200")
ECHO_CREATION = bytes((0x5F + len(ECHO),)) + ECHO + bytes.fromhex("5f52600b6015f3")

Transaction = dict[str, Any]
Send = Callable[[Anvil, str, Transaction], None]


def unsigned(node: Anvil, account: str, transaction: Transaction) -> None:
    node.rpc("eth_sendTransaction", {"from": account, "gas": "0x30d40", **transaction})


def next_nonce(node: Anvil) -> int:
    return int(node.rpc("eth_getTransactionCount", SIGNER.address, "pending"), 16)


def signed(node: Anvil, transaction: Transaction) -> bytes:
    whole = {
        "chainId": CHAIN_ID,
        "nonce": next_nonce(node),
        "gas": 200_000,
        "maxFeePerGas": 0,
        "maxPriorityFeePerGas": 0,
        "value": 0,
        **transaction,
        "to": to_checksum_address(transaction["to"]),
    }
    return bytes(SIGNER.sign_transaction(whole).raw_transaction)


def legacy(node: Anvil, account: str, to: Transaction) -> None:
    unsigned(node, account, {"type": "0x0", "gasPrice": "0x0", **to})


def with_access_list(node: Anvil, account: str, to: Transaction) -> None:
    entry = {"address": to["to"], "storageKeys": ["0x" + "00" * 32]}
    unsigned(node, account, {"type": "0x1", "gasPrice": "0x0", "accessList": [entry], **to})


def with_dynamic_fee(node: Anvil, account: str, to: Transaction) -> None:
    unsigned(node, account, {"type": "0x2", "maxFeePerGas": "0x0", "maxPriorityFeePerGas": "0x0", **to})


def with_a_blob(node: Anvil, _: str, to: Transaction) -> None:
    # A blob of zeros is the polynomial zero: its commitment and its proof are the point at infinity, and no library
    # has to work for seconds to find them.
    infinity = b"\xc0" + bytes(47)
    blob_hash = b"\x01" + hashlib.sha256(infinity).digest()[1:]
    raw = signed(node, {"type": 3, "maxFeePerBlobGas": 10**9, "blobVersionedHashes": [blob_hash], **to})
    with_sidecar = rlp.encode([rlp.decode(raw[1:]), [bytes(BLOB_BYTES)], [infinity], [infinity]])
    node.rpc("eth_sendRawTransaction", to_hex(raw[:1] + with_sidecar))


def setting_code(node: Anvil, account: str, to: Transaction) -> None:
    delegate = {"chainId": CHAIN_ID, "address": account, "nonce": next_nonce(node) + 1}
    raw = signed(node, {"type": 4, "authorizationList": [SIGNER.sign_authorization(delegate)], **to})
    node.rpc("eth_sendRawTransaction", to_hex(raw))


def deposit(node: Anvil, _: str, to: Transaction) -> None:
    source = {"sourceHash": "0x" + "11" * 32, "mint": "0x0", "isSystemTx": False}
    # From an account of its own: the pool would take a deposit's nonce for that of the next transaction.
    unsigned(node, node.rpc("eth_accounts")[1], {"type": "0x7e", **source, **to})


def prepared(node: Anvil) -> str:
    """A contract that logs what it is sent, and a signer with money; returns the contract's address."""
    node.rpc("anvil_setBalance", SIGNER.address, hex(10**21))
    account = node.rpc("eth_accounts")[0]
    creation = {"from": account, "data": to_hex(ECHO_CREATION), "gas": "0x30d40", "gasPrice": "0x0"}
    created = node.rpc("eth_sendTransaction", creation)
    node.mine()
    return str(node.rpc("eth_getTransactionReceipt", created)["contractAddress"])


@pytest.fixture(scope="module")
def prague() -> Iterator[Anvil]:
    with Anvil.start(hardfork="prague") as node:
        yield node


@pytest.fixture(scope="module")
def optimism() -> Iterator[Anvil]:
    with Anvil.start(hardfork="isthmus", optimism=True) as node:
        yield node


def checked(node: Anvil, contract: str, sent: Sequence[tuple[Send, int]]) -> None:
    """Mine one block with these transactions and hold what the node says of it against its header's hash."""
    account = node.rpc("eth_accounts")[0]
    for number, (send, _) in enumerate(sent):
        send(node, account, {"to": contract, "data": "0x" + f"{number:02x}" * number})
    node.mine()
    raw = node.rpc("eth_getBlockByNumber", "latest", False)
    receipts = node.rpc("eth_getBlockReceipts", raw["hash"])
    assert [int(one["type"], 16) for one in receipts] == [kind for _, kind in sent]
    found = header.verified(raw)
    logs = receipt.proven_logs(receipts, found, {from_hex(contract, 20)})
    assert [log.data for _, log in logs] == [bytes((number,)) * number for number in range(len(sent))]
    # The logs that the node serves are those that its receipts prove.
    served = node.rpc("eth_getLogs", {"blockHash": raw["hash"], "address": contract})
    assert [(log["transactionHash"], log["logIndex"], log["data"]) for log in served] == [
        (to_hex(log.transaction_hash), hex(log.log_index), to_hex(log.data)) for _, log in logs
    ]
    assert bloom.Watch([from_hex(contract, 20)]).any_in(found.logs_bloom)
    receipts[0]["logs"].clear()
    with pytest.raises(ReceiptsDiffer):
        receipt.check(receipts, found)


def test_each_type_of_transaction_fits_the_root_in_its_header(prague: Anvil) -> None:
    """One block with a legacy transaction, EIP-2930, 1559, 4844 and 7702, each with a log."""
    contract = prepared(prague)
    sent = ((legacy, 0), (with_access_list, 1), (with_dynamic_fee, 2), (with_a_blob, 3), (setting_code, 4))
    checked(prague, contract, sent)


def test_deposits_of_the_op_stack_fit_the_root_in_their_header(optimism: Anvil) -> None:
    """A deposit first, as in every block of Base, then an ordinary transaction."""
    checked(optimism, prepared(optimism), [(deposit, 0x7E), (with_dynamic_fee, 2)])


@pytest.mark.parametrize("hardfork", ["shanghai", "cancun"])
def test_an_empty_block_of_each_fork_has_the_hash_of_its_header(hardfork: str) -> None:
    """Each fork adds to the header; the genesis block and an empty one are recomputed."""
    with Anvil.start(hardfork=hardfork) as node:
        node.mine()
        for number in ("0x0", "0x1"):
            raw = node.rpc("eth_getBlockByNumber", number, False)
            found = header.verified(raw)
            receipt.check([], found)
            assert found.logs_bloom == bloom.EMPTY

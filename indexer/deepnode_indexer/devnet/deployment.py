"""Putting the reference contracts on a local chain, and describing them in an ABI manifest.

The same chain gets the same addresses: the deployer's nonces decide them. The manifest is self-contained, so that the
indexer reads the devnet exactly as it would read a deployment that it knows only by its manifest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from deepnode_indexer.devnet import cast_of_accounts as cast
from deepnode_indexer.devnet.artifacts import Interface, load_artifact
from deepnode_indexer.devnet.json_rpc import JsonRpc
from deepnode_indexer.devnet.task_signing import DEVNET_PRODUCER_ID, devnet_producer_address
from deepnode_ledger.errors import BadInput

REGISTRATION_FEE = 25 * 10**18
REGISTRATION_BURN_PPM = 200_000
WITHDRAWAL_DELAY_SECONDS = 20
_GAS = hex(10_000_000)
_KINDS = {
    "DNToken": "Token",
    "USDCStandIn": "Token",
    "Domains": "Domains",
    "Nodes": "Nodes",
    "Collateral": "Collateral",
    "Models": "Models",
    "RevenueRouter": "RevenueRouter",
}


class DeploymentError(BadInput):
    """A transaction of the deployment was reverted, or the chain is not one that it can start on."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The reference contracts on one chain.

    Attributes:
        manifest: the manifest file.
        addresses: each contract's checksummed address by its name.
        accounts: the node's unlocked accounts; `cast_of_accounts` says who plays what.
    """

    manifest: Path
    addresses: Mapping[str, str]
    accounts: tuple[str, ...]


def deploy(url: str, out: Path) -> Deployment:
    """Deploy everything from the first account, give out the roles, and write the manifest to the folder `out`.

    Raises:
        DeploymentError: the node has too few accounts, or a transaction was reverted.
    """
    rpc = JsonRpc(url)
    try:
        accounts = tuple(to_checksum_address(account) for account in rpc.call("eth_accounts"))
        if len(accounts) < cast.COUNT:
            raise DeploymentError(f"the node has {len(accounts)} accounts, the cast needs {cast.COUNT}")
        created = _create(rpc, accounts)
        _give_roles(rpc, accounts, {name: address for name, (address, _) in created.items()})
        _write_manifest(rpc, out, created)
    finally:
        rpc.close()
    return Deployment(
        manifest=out / "manifest.toml",
        addresses={name: address for name, (address, _) in created.items()},
        accounts=accounts,
    )


def role(name: str) -> bytes:
    """The id of an access-control role."""
    return keccak(text=name)


def _create(rpc: JsonRpc, accounts: tuple[str, ...]) -> dict[str, tuple[str, int]]:
    """Create the contracts; each name's address and block."""
    admin = accounts[cast.DEPLOYER]
    created: dict[str, tuple[str, int]] = {}

    def at(name: str) -> str:
        return created[name][0]

    # One block each: a constructor takes the addresses of those before it.
    def create(name: str, *arguments: object) -> None:
        transaction = {"from": admin, "data": load_artifact(name).creation(*arguments), "gas": _GAS, "gasPrice": "0x0"}
        (receipt,) = _mined(rpc, [transaction])
        created[name] = (to_checksum_address(receipt["contractAddress"]), int(receipt["blockNumber"], 16))

    create("DNToken", admin)
    create("USDCStandIn", admin)
    create("Domains", admin)
    create(
        "Nodes", admin, at("DNToken"), at("Domains"), accounts[cast.TREASURY], REGISTRATION_FEE, REGISTRATION_BURN_PPM
    )
    compensation = accounts[cast.COMPENSATION_VAULT]
    create("Collateral", admin, at("DNToken"), at("Nodes"), compensation, WITHDRAWAL_DELAY_SECONDS)
    create("Models", at("Domains"))
    create("RevenueRouter", admin, at("DNToken"), at("Domains"), at("Models"))
    assert created.keys() == _KINDS.keys()
    return created


def _give_roles(rpc: JsonRpc, accounts: tuple[str, ...], addresses: Mapping[str, str]) -> None:
    admin = accounts[cast.DEPLOYER]
    interfaces = {name: Interface(load_artifact(name).abi) for name in addresses}
    calls: list[tuple[str, str, tuple[object, ...]]] = [
        ("DNToken", "grantRole", (role("MINTER_ROLE"), admin)),
        ("USDCStandIn", "grantRole", (role("MINTER_ROLE"), admin)),
        ("Domains", "grantRole", (role("GOVERNOR_ROLE"), admin)),
        ("Nodes", "grantRole", (role("REVIEW_ROLE"), addresses["Collateral"])),
        ("Collateral", "grantRole", (role("FOUNDATION_ROLE"), accounts[cast.FOUNDATION])),
        ("RevenueRouter", "grantRole", (role("SETTLER_ROLE"), accounts[cast.SETTLER])),
    ]
    calls += [
        ("Collateral", "grantRole", (role("FLAGGER_ROLE"), accounts[place])) for place in cast.VALIDATOR_OPERATORS
    ]
    # The legs without an owner of their own, by their number in RevenueSplit. What is to be burned burns in DN; in
    # dollars it goes to the buyback, which turns it into DN first.
    wallets = {
        1: cast.BACKERS_VAULT,
        2: cast.PROCESSOR,
        3: cast.BUYBACK_VAULT,
        4: cast.TREASURY,
        6: cast.BUYBACK_VAULT,
        7: cast.YIELD_VAULT,
        8: cast.EMISSION_VAULT,
    }
    calls += [("RevenueRouter", "setWallet", (leg, accounts[place])) for leg, place in wallets.items()]
    _mined(
        rpc,
        [
            {
                "from": admin,
                "to": addresses[contract],
                "data": interfaces[contract].call_data(function, *arguments),
                "gas": _GAS,
                "gasPrice": "0x0",
            }
            for contract, function, arguments in calls
        ],
    )


def _mined(rpc: JsonRpc, transactions: list[dict[str, str]]) -> list[dict[str, Any]]:
    hashes = rpc.batch([("eth_sendTransaction", [transaction]) for transaction in transactions])
    rpc.call("evm_mine")
    receipts: list[dict[str, Any]] = rpc.batch([("eth_getTransactionReceipt", [sent]) for sent in hashes])
    for receipt in receipts:
        if receipt["status"] != "0x1":
            raise DeploymentError(f"a transaction of the deployment failed: {receipt}")
    return receipts


def _write_manifest(rpc: JsonRpc, out: Path, created: Mapping[str, tuple[str, int]]) -> None:
    (out / "abi").mkdir(parents=True, exist_ok=True)
    genesis = rpc.call("eth_getBlockByNumber", "0x0", False)["hash"]
    chain_id = int(rpc.call("eth_chainId"), 16)
    lines = ["format = 1", 'name = "devnet"', "version = 1", "", "[chain]", f"id = {chain_id}"]
    lines += [f'genesis_hash = "{genesis}"']
    extras = {
        "DNToken": ['symbol = "DN"', "decimals = 18"],
        "USDCStandIn": ['symbol = "USDC"', "decimals = 6"],
        "Collateral": ['asset = "DNToken"'],
    }
    for name, (address, start_block) in created.items():
        abi = load_artifact(name).abi
        (out / "abi" / f"{name}.json").write_text(json.dumps(abi, indent=1) + "\n", "utf-8")
        lines += ["", "[[contracts]]", f'name = "{name}"', f'kind = "{_KINDS[name]}"', f'address = "{address}"']
        lines += [f"start_block = {start_block}", f'abi = "abi/{name}.json"', *extras.get(name, [])]
    lines += ["", "[[producers]]", f'id = "{DEVNET_PRODUCER_ID}"', f'key = "{devnet_producer_address()}"']
    (out / "manifest.toml").write_text("\n".join(lines) + "\n", "utf-8")

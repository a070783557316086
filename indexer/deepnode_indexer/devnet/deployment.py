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

UNBONDING_SECONDS = 40
VOTING_SECONDS = 40
PROPOSAL_DEPOSIT = 100 * 10**18
VOTING_QUORUM = 1_500 * 10**18
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
    "Parameters": "Parameters",
    "Staking": "Staking",
    "Trust": "Trust",
    "Rewards": "Rewards",
    "MarketStandIn": "Other",
    "YieldVaultStandIn": "Other",
    "Governance": "Governance",
    "Emission": "Emission",
    "Burner": "Burner",
    "Funding": "Funding",
}
_EXTRAS = {
    "DNToken": ['symbol = "DN"', "decimals = 18"],
    "USDCStandIn": ['symbol = "USDC"', "decimals = 6"],
    "Collateral": ['asset = "DNToken"'],
    "Staking": ['asset = "DNToken"'],
    "Governance": ['asset = "DNToken"'],
    "Emission": ['asset = "DNToken"'],
    "Funding": ['asset = "USDCStandIn"'],
}


class DeploymentError(BadInput):
    """A transaction of the deployment was reverted, or the chain is not one that it can start on."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The reference contracts on one chain.

    Attributes:
        manifest: the manifest file.
        addresses: each contract's checksummed address by its name.
        accounts: accounts that the node signs for; `cast_of_accounts` says who plays what.
        cast: who lives here, by their places in `accounts`.
    """

    manifest: Path
    addresses: Mapping[str, str]
    accounts: tuple[str, ...]
    cast: cast.Cast = cast.SMALL


def deploy(url: str, out: Path, people: cast.Cast = cast.SMALL) -> Deployment:
    """Deploy everything from the first account, give out the roles, and write the manifest to the folder `out`.

    The node signs for all accounts without their keys from then on: that costs a tenth of the time, and it takes any
    number of people.

    Raises:
        DeploymentError: the node has too few accounts, or a transaction was reverted.
    """
    rpc = JsonRpc(url)
    try:
        accounts = _accounts(rpc, people)
        created = _create(rpc, accounts)
        _give_roles(rpc, accounts, {name: address for name, (address, _) in created.items()}, people)
        _write_manifest(rpc, out, created, foundation=accounts[cast.TREASURY])
    finally:
        rpc.close()
    return Deployment(
        manifest=out / "manifest.toml",
        addresses={name: address for name, (address, _) in created.items()},
        accounts=accounts,
        cast=people,
    )


def _accounts(rpc: JsonRpc, people: cast.Cast) -> tuple[str, ...]:
    """The node's own accounts, and addresses of the deployment's making behind them."""
    own = rpc.call("eth_accounts")
    if len(own) < cast.NODE_ACCOUNTS:
        raise DeploymentError(f"the node has {len(own)} accounts, the cast needs {cast.NODE_ACCOUNTS}")
    further = (
        "0x" + keccak(text=f"deepnode devnet account {place}")[12:].hex()
        for place in range(cast.NODE_ACCOUNTS, people.count)
    )
    accounts = tuple(to_checksum_address(account) for account in (*own[: cast.NODE_ACCOUNTS], *further))
    rpc.batch([("anvil_impersonateAccount", [account]) for account in accounts])
    return accounts


def role(name: str) -> bytes:
    """The id of an access-control role."""
    return keccak(text=name)


def _create(rpc: JsonRpc, accounts: tuple[str, ...]) -> dict[str, tuple[str, int]]:
    """Create the contracts; each name's address and block."""
    admin = accounts[cast.DEPLOYER]
    created: dict[str, tuple[str, int]] = {}

    def at(name: str) -> str:
        return created[name][0]

    # A block's contracts take the addresses of those in the blocks before it.
    def create(contracts: Mapping[str, tuple[object, ...]]) -> None:
        receipts = _mined(
            rpc,
            [
                {"from": admin, "data": load_artifact(name).creation(*arguments), "gas": _GAS, "gasPrice": "0x0"}
                for name, arguments in contracts.items()
            ],
        )
        for name, receipt in zip(contracts, receipts, strict=True):
            created[name] = (to_checksum_address(receipt["contractAddress"]), int(receipt["blockNumber"], 16))

    create({"DNToken": (admin,)})
    create({"USDCStandIn": (admin,)})
    create({"Domains": (admin,)})
    fee = (accounts[cast.TREASURY], REGISTRATION_FEE, REGISTRATION_BURN_PPM)
    create({"Nodes": (admin, at("DNToken"), at("Domains"), *fee)})
    compensation = accounts[cast.COMPENSATION_VAULT]
    create({"Collateral": (admin, at("DNToken"), at("Nodes"), compensation, WITHDRAWAL_DELAY_SECONDS)})
    create({"Models": (at("Domains"),)})
    create({"RevenueRouter": (admin, at("DNToken"), at("Domains"), at("Models"))})
    create(
        {
            "Parameters": (admin,),
            "Staking": (at("DNToken"), at("Nodes"), at("Models"), at("Domains"), UNBONDING_SECONDS),
            "Trust": (admin,),
            "Rewards": (admin,),
            "MarketStandIn": (admin, at("DNToken")),
            "YieldVaultStandIn": (at("USDCStandIn"),),
        }
    )
    voting = (accounts[cast.TREASURY], PROPOSAL_DEPOSIT, VOTING_SECONDS, VOTING_QUORUM)
    create(
        {
            "Governance": (at("DNToken"), at("Staking"), at("Parameters"), *voting),
            "Emission": (admin, at("DNToken"), at("Domains"), at("Rewards")),
            "Burner": (admin, at("DNToken"), at("MarketStandIn")),
            "Funding": (admin, at("USDCStandIn"), at("Models"), at("YieldVaultStandIn")),
        }
    )
    assert created.keys() == _KINDS.keys()
    return created


def _give_roles(rpc: JsonRpc, accounts: tuple[str, ...], addresses: Mapping[str, str], people: cast.Cast) -> None:
    admin = accounts[cast.DEPLOYER]
    interfaces = {name: Interface(load_artifact(name).abi) for name in addresses}
    calls: list[tuple[str, str, tuple[object, ...]]] = [
        ("DNToken", "grantRole", (role("MINTER_ROLE"), admin)),
        ("USDCStandIn", "grantRole", (role("MINTER_ROLE"), admin)),
        ("Domains", "grantRole", (role("GOVERNOR_ROLE"), admin)),
        ("Nodes", "grantRole", (role("REVIEW_ROLE"), addresses["Collateral"])),
        ("Collateral", "grantRole", (role("FOUNDATION_ROLE"), accounts[cast.FOUNDATION])),
        ("RevenueRouter", "grantRole", (role("SETTLER_ROLE"), accounts[cast.SETTLER])),
        ("Parameters", "grantRole", (role("GOVERNOR_ROLE"), addresses["Governance"])),
        ("Parameters", "grantRole", (role("GOVERNOR_ROLE"), admin)),
        ("Trust", "grantRole", (role("SCORER_ROLE"), accounts[cast.SCORER])),
        ("DNToken", "grantRole", (role("MINTER_ROLE"), addresses["Emission"])),
        ("Emission", "grantRole", (role("EPOCH_ROLE"), accounts[cast.EPOCH_KEEPER])),
        ("Emission", "grantRole", (role("ALLOCATOR_ROLE"), accounts[cast.EPOCH_KEEPER])),
        ("Rewards", "grantRole", (role("ROOT_ROLE"), accounts[cast.EPOCH_KEEPER])),
        ("Rewards", "grantRole", (role("GUARDIAN_ROLE"), accounts[cast.GUARDIAN])),
        ("Burner", "grantRole", (role("KEEPER_ROLE"), accounts[cast.BURN_KEEPER])),
        ("Funding", "grantRole", (role("FOUNDATION_ROLE"), accounts[cast.FOUNDATION])),
        ("Funding", "grantRole", (role("TREASURER_ROLE"), accounts[cast.TREASURER])),
    ]
    calls += [
        ("Collateral", "grantRole", (role("FLAGGER_ROLE"), accounts[place])) for place in people.validator_operators
    ]
    # The legs without an owner of their own, by their number in RevenueSplit. What is to be burned burns in DN; in
    # dollars it goes to the buyback, which turns it into DN first.
    wallets = {
        1: accounts[cast.BACKERS_VAULT],
        2: accounts[cast.PROCESSOR],
        3: addresses["Burner"],
        4: accounts[cast.TREASURY],
        6: addresses["Burner"],
        7: accounts[cast.YIELD_VAULT],
        8: addresses["Emission"],
    }
    calls += [("RevenueRouter", "setWallet", (leg, wallet)) for leg, wallet in wallets.items()]
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


def _write_manifest(rpc: JsonRpc, out: Path, created: Mapping[str, tuple[str, int]], *, foundation: str) -> None:
    (out / "abi").mkdir(parents=True, exist_ok=True)
    genesis = rpc.call("eth_getBlockByNumber", "0x0", False)["hash"]
    chain_id = int(rpc.call("eth_chainId"), 16)
    lines = ["format = 1", 'name = "devnet"', "version = 1", f'foundation = "{foundation}"']
    lines += ["", "[chain]", f"id = {chain_id}"]
    lines += [f'genesis_hash = "{genesis}"']
    for name, (address, start_block) in created.items():
        abi = load_artifact(name).abi
        (out / "abi" / f"{name}.json").write_text(json.dumps(abi, indent=1) + "\n", "utf-8")
        lines += ["", "[[contracts]]", f'name = "{name}"', f'kind = "{_KINDS[name]}"', f'address = "{address}"']
        lines += [f"start_block = {start_block}", f'abi = "abi/{name}.json"', *_EXTRAS.get(name, [])]
    lines += ["", "[[producers]]", f'id = "{DEVNET_PRODUCER_ID}"', f'key = "{devnet_producer_address()}"']
    (out / "manifest.toml").write_text("\n".join(lines) + "\n", "utf-8")

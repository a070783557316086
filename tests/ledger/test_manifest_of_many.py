"""A manifest may have several chains, contracts whose ABI changes, and factories; each with its rules."""

import json
import tomllib
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import ChainSpec, load_manifest
from deepnode_ledger.manifest_file import ManifestFile
from tests.ledger.factories import (
    FACTORY,
    FAR,
    FAR_CHAIN,
    FAR_FIRST_BLOCK,
    FAR_GENESIS,
    PROXY,
    TEXT,
    UPGRADE,
    factories,
    write_factories,
)
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, GENESIS
from tests.ledger.paper_deployment import ARTIFACTS

BOTH_ABIS = f'[{{ from_block = 0, abi = "ProxyOne.json" }}, {{ from_block = {UPGRADE}, abi = "ProxyTwo.json" }}]'
ROUND = 'event = "Created"\nargument = "round"\nname = "Round"'


def test_chains_and_their_contracts_are_read(tmp_path: Path) -> None:
    """Loads a manifest of two chains, and asks for each chain's contracts and first block."""
    manifest = factories(tmp_path)
    assert manifest.chains == {
        CHAIN_ID: ChainSpec(CHAIN_ID, GENESIS),
        FAR_CHAIN: ChainSpec(FAR_CHAIN, FAR_GENESIS),
    }
    assert next(iter(manifest.chains)) == manifest.chain_id == CHAIN_ID
    assert [contract.name for contract in manifest.on(CHAIN_ID)] == ["Factory", "Proxy"]
    assert [contract.name for contract in manifest.on(FAR_CHAIN)] == ["FarFactory"]
    assert manifest.on(999) == []
    assert manifest.first_block == manifest.first_block_of(CHAIN_ID) == FIRST_BLOCK
    assert manifest.first_block_of(FAR_CHAIN) == FAR_FIRST_BLOCK
    assert manifest.get(FAR, FAR_CHAIN) is manifest.contracts[FAR]
    assert manifest.get(FAR) is manifest.get(FAR, CHAIN_ID) is None
    assert manifest.has_factories


def test_factories_and_versions_are_read(tmp_path: Path) -> None:
    """Looks at what a factory creates, at what its children create, and at a proxy's ABIs."""
    manifest = factories(tmp_path)
    [creates] = manifest.contracts[FACTORY].creates
    assert (creates.event, creates.argument, creates.name, creates.kind) == (
        "Created(address,uint32)",
        "round",
        "Round",
        "Other",
    )
    assert creates.keys == frozenset(manifest.contracts[FACTORY].events)
    assert [event.name for event in creates.events.values()] == ["Backed", "Opened"]
    assert [(nested.name, nested.event) for nested in creates.creates] == [("Vault", "Opened(address)")]
    proxy = manifest.contracts[PROXY]
    assert [block for block, _ in proxy.abis] == [0, UPGRADE]
    assert {event.name for event in proxy.events.values()} == {"Set", "Gone", "Came", "Changed"}
    assert manifest.contracts[FACTORY].abis == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (f"[[chains]]\nid = {FAR_CHAIN}", f"[[chains]]\nid = {CHAIN_ID}", f"two chains have the id {CHAIN_ID}"),
        (to_hex(FAR_GENESIS), "0x0a", r"chains\[0\]\.genesis_hash must have 32 bytes, not 1"),
        (f"chain = {FAR_CHAIN}", "chain = 11", "contract FarFactory: chain 11 is not in the manifest"),
        (f"chain = {FAR_CHAIN}", "", f"chain {FAR_CHAIN} has no contract"),
        (to_hex(FAR), to_hex(FACTORY), "two contracts have the address"),
        ('name = "FarToken"', 'name = "Round"', "two contracts have the name 'Round'"),
        ('name = "Vault"', 'name = "Proxy"', "two contracts have the name 'Proxy'"),
        ('name = "Vault"', 'name = "Va.ult"', "matching regex .* - at `"),
        (ROUND, ROUND.replace("Created", "Made"), "creates Round: event must be one of the ABI, 'Made' is none"),
        (ROUND, ROUND.replace('"round"', '"number"'), r"Created\(address indexed round, .* named 'number'"),
        (ROUND, ROUND.replace('"round"', '"child"'), "no address named 'child'"),
        ('"Opened"\nargument = "vault"', '"Opened"\nargument = "round"', "creates Vault: .* named 'round'"),
        ('symbol = "FAR"\n', "", "creates FarToken: a Token needs symbol and decimals"),
        ('kind = "Token"', 'kind = "Coin"', "creates FarToken: kind must be one of .*Other"),
        ('abi = "Token.json"', 'abi = "Vault.json"', r"FarToken: .*Vault\.json must declare the event Transfer"),
        (BOTH_ABIS, "[]", r"length >= 1 - at `\$\.contracts\[[0-9.]+\]\.abi`"),
        (BOTH_ABIS, BOTH_ABIS.replace(f"= {UPGRADE}", "= 0"), "the ABI from block 0 stands behind that from 0"),
        (BOTH_ABIS, BOTH_ABIS.replace("= 0", "= 6"), "the first ABI holds from block 6, start_block is 5"),
        (BOTH_ABIS, '{ from_block = 0, abi = "ProxyOne.json" }', "Expected `str | array`, got `object`"),
        (BOTH_ABIS, BOTH_ABIS.replace("ProxyTwo", "None"), r"None\.json cannot be read"),
    ],
)  # fmt: skip
def test_a_broken_rule_of_chains_versions_and_factories_is_named(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    """Breaks one rule at a time in a good manifest."""
    with pytest.raises(BadInput, match=message) as refused:
        factories(tmp_path, **{old: new})
    assert str(tmp_path) in str(refused.value)


def test_factories_in_factories_have_an_end(tmp_path: Path) -> None:
    """Nests eight generations, then nine."""

    def nested(generations: int) -> str:
        text = TEXT.partition("[[contracts.creates]]")[0].replace("[[chains]]", "# [[chains]]").replace("id = 10", "#")
        text = text.replace(f'genesis_hash = "{to_hex(FAR_GENESIS)}"', "")
        for generation in range(1, generations + 1):
            text += f'[[contracts{".creates" * generation}]]\nevent = "Created"\nargument = "round"\n'
            text += f'name = "G{generation}"\nkind = "Other"\nabi = "Factory.json"\n'
        return text

    assert load_manifest(write_factories(tmp_path, nested(8))).contracts[FACTORY].creates[0].creates[0].name == "G2"
    with pytest.raises(BadInput, match="creates G9: factories lie in factories more than 8 deep"):
        load_manifest(write_factories(tmp_path, nested(9)))


def test_an_event_that_could_be_two_is_named_by_its_signature(tmp_path: Path) -> None:
    """Gives the factory a second Created: the name alone is refused, the signature is not."""
    path = write_factories(tmp_path)
    first = (tmp_path / "Factory.json").read_text()
    second = first.replace("uint32", "uint64")
    (tmp_path / "Factory.json").write_text(first[:-1] + ", " + second[1:])
    with pytest.raises(BadInput, match=r"'Created' is Created\(address,uint32\) or Created\(address,uint64\)"):
        load_manifest(path)
    path.write_text(TEXT.replace('event = "Created"', 'event = "Created(address,uint64)"'))
    manifest = load_manifest(path)
    assert manifest.contracts[FACTORY].creates[0].event == "Created(address,uint64)"


def test_a_childs_collateral_is_a_token_of_its_own_chain(tmp_path: Path) -> None:
    """Lets a factory create collateral contracts whose asset stands on the other chain, then nowhere."""
    text = TEXT.replace('kind = "Other"\nabi = "Vault.json"', 'kind = "Collateral"\nasset = "Far"\nabi = "Vault.json"')
    token = f'[[contracts]]\nname = "Far"\nkind = "Token"\nchain = {FAR_CHAIN}\naddress = "0x{"77" * 20}"\n'
    token += 'start_block = 1\nabi = "Token.json"\nsymbol = "FAR"\ndecimals = 6\n'
    with pytest.raises(BadInput, match=r"Vault\.json must declare the event Deposited"):
        load_manifest(write_factories(tmp_path, text + token))
    collateral = json.loads((ARTIFACTS / "Collateral.json").read_text())
    (tmp_path / "Collateral.json").write_text(json.dumps(collateral["abi"]))
    text = text.replace('abi = "Vault.json"', 'abi = "Collateral.json"')
    for kept in (text + token, text):
        (tmp_path / "manifest.toml").write_text(kept)
        with pytest.raises(BadInput, match="Vault needs asset = the name of a Token contract, not 'Far'"):
            load_manifest(tmp_path / "manifest.toml")
    (tmp_path / "manifest.toml").write_text(text + token.replace(f"chain = {FAR_CHAIN}\n", ""))
    assert load_manifest(tmp_path / "manifest.toml").contracts[FACTORY].creates[0].creates[0].asset == "Far"


def test_the_digest_is_of_chains_versions_and_factories_too(tmp_path: Path) -> None:
    """Changes one thing at a time that decides what a log means: each gives another digest."""
    found = [factories(tmp_path).digest]
    for old, new in {
        to_hex(FAR_GENESIS): "0x" + "0b" * 32,
        f"chain = {FAR_CHAIN}\naddress": "address",
        f"from_block = {UPGRADE}": "from_block = 21",
        BOTH_ABIS: '"ProxyTwo.json"',
        'name = "Round"': 'name = "Circle"',
        'symbol = "FAR"': 'symbol = "FUR"',
        "decimals = 6": "decimals = 7",
        'abi = "Round.json"': 'abi = "Wide.json"',
        'abi = "Vault.json"': 'abi = "Round.json"',
    }.items():
        write_factories(tmp_path)
        wide = (tmp_path / "Round.json").read_text().replace("amount", "sum")
        (tmp_path / "Wide.json").write_text(wide)
        text = TEXT
        assert old in text, old
        text = text.replace(old, new)
        if new == "address":
            extra = f'[[contracts]]\nname = "X"\nkind = "Other"\nchain = {FAR_CHAIN}\naddress = "0x{"99" * 20}"\n'
            text += extra + 'start_block = 1\nabi = "Vault.json"\n'
        (tmp_path / "manifest.toml").write_text(text)
        found.append(load_manifest(tmp_path / "manifest.toml").digest)
    assert len(set(found)) == len(found)


def test_every_field_is_in_the_docs_and_every_one_there_exists() -> None:
    """Parses the examples of docs/manifest.md and compares the names in them with those of the file's form."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "manifest.md").read_text("utf-8")
    examples = [tomllib.loads(each.partition("```")[0]) for each in text.split("```toml\n")[1:]]
    assert len(examples) == 4

    def names(value: object) -> set[str]:
        if isinstance(value, list):
            return {name for each in value for name in names(each)}
        return (
            {*value, *(name for each in value.values() for name in names(each))} if isinstance(value, dict) else set()
        )

    def of_form(form: type[msgspec.Struct]) -> set[str]:
        parts = [part for field in msgspec.structs.fields(form) for part in _structs(field.type) if part is not form]
        return {field.name for field in msgspec.structs.fields(form)} | {n for part in parts for n in of_form(part)}

    assert names(examples) == of_form(ManifestFile)


def _structs(declared: Any) -> list[type[msgspec.Struct]]:
    if isinstance(declared, type) and issubclass(declared, msgspec.Struct):
        return [declared]
    return [part for inner in get_args(declared) for part in _structs(inner)]

"""A manifest says what a deployment is, or which rule it breaks, where."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import MANIFEST_BYTES_MAX, Producer, load_manifest
from tests.ledger.histories import CHAIN_ID, FIRST_BLOCK, GENESIS
from tests.ledger.paper_deployment import (
    COLLATERAL,
    DN,
    MODELS,
    PRODUCER,
    PRODUCER_KEY,
    ROUTER,
    USDC,
    address_of,
    manifest_text,
    paper_manifest,
    write_manifest,
)

DN_ADDRESS = f'"0x{DN.hex()}"'


def test_a_good_manifest_is_read(tmp_path: Path) -> None:
    """Loads one of five contracts and a producer and looks at everything in it."""
    manifest = paper_manifest(tmp_path)
    assert (manifest.name, manifest.version, manifest.chain_id, manifest.genesis_hash) == (
        "paper",
        1,
        CHAIN_ID,
        GENESIS,
    )
    assert list(manifest.contracts) == [DN, USDC, COLLATERAL, MODELS, ROUTER]
    assert [token.symbol for token in manifest.tokens] == ["DN", "USDC"]
    assert [token.decimals for token in manifest.tokens] == [18, 6]
    assert manifest.by_name("Collateral").asset == "DN"
    assert manifest.first_block == FIRST_BLOCK
    assert manifest.producers == {PRODUCER: Producer(PRODUCER, address_of(PRODUCER_KEY))}
    assert "Approval" in {event.name for event in manifest.contracts[DN].events.values()}


def test_intake_starts_at_the_earliest_contract(tmp_path: Path) -> None:
    """Gives one contract an earlier block than the others."""
    text = manifest_text().replace(f"start_block = {FIRST_BLOCK}", "start_block = 3", 1)
    assert load_manifest(write_manifest(tmp_path, text)).first_block == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = [", "is not TOML"),
        ("format = 1", "format = 2", "format must be 1, not 2"),
        ("format = 1", 'format = "1"', r"Expected `int`, got `str` - at `\$\.format`"),
        ("format = 1", "", "missing required field `format`"),
        ("version = 1", "version = 0", r"`int` >= 1 - at `\$\.version`"),
        ("version = 1", "version = 1\ncolour = 3", "unknown field `colour`"),
        ("decimals = 6", "decimal = 6", r"unknown field `decimal` - at `\$\.contracts\[[0-9]\]`"),
        ("decimals = 6", "decimals = 39", r"<= 38 - at `\$\.contracts\[[0-9]\]\.decimals`"),
        ("decimals = 6", "", "contract USDC: a Token needs symbol and decimals"),
        ('symbol = "DN"\n', "", "contract DN: a Token needs symbol and decimals"),
        (f"id = {CHAIN_ID}", "id = 0", r">= 1 - at `\$\.chain\.id`"),
        (f"id = {CHAIN_ID}", "id = 1.5", r"Expected `int`, got `float` - at `\$\.chain\.id`"),
        ("0x" + GENESIS.hex(), "0x" + GENESIS.hex()[2:], "chain.genesis_hash must have 32 bytes, not 31"),
        ("0x" + GENESIS.hex(), GENESIS.hex(), "chain.genesis_hash must be a string that starts with 0x"),
        (DN_ADDRESS, '"0x' + "d1" * 19 + '"', "contract DN: address must have 20 bytes, not 19"),
        (DN_ADDRESS, '"0x' + "d1" * 32 + '"', "contract DN: address must have 20 bytes, not 32"),
        (DN_ADDRESS, '"0x' + "zz" * 20 + '"', "contract DN: address must be pairs of hexadecimal digits"),
        (DN_ADDRESS, f'"0x{USDC.hex()}"', f"two contracts have the address 0x{USDC.hex()}"),
        ('name = "USDC"', 'name = "DN"', "two contracts have the name 'DN'"),
        ('name = "DN"', 'name = "D N"', r"matching regex .* - at `\$\.contracts\[[0-9]\]\.name`"),
        ('name = "DN"', 'name = "D:N"', r"matching regex .* - at `\$\.contracts\[[0-9]\]\.name`"),
        ('name = "DN"', 'name = "DN\\n"', r"matching regex .* - at `\$\.contracts\[[0-9]\]\.name`"),
        ('kind = "Models"', 'kind = "Model"', "contract Models: kind must be one of Token, .* not 'Model'"),
        ('asset = "DN"', "", "Collateral needs asset = the name of a Token contract, not None"),
        ('asset = "DN"', 'asset = "Router"', "Collateral needs asset = the name of a Token contract, not 'Router'"),
        ('abi = "DNToken.json"', 'abi = "none.json"', "none.json cannot be read: No such file"),
        ('abi = "DNToken.json"', 'abi = "Models.json"', r"must declare the event Transfer\(address indexed from, "),
        ('abi = "Models.json"', 'abi = "manifest.toml"', "manifest.toml is not JSON"),
        (f"start_block = {FIRST_BLOCK}", "start_block = -1", r">= 0 - at `\$\.contracts\[[0-9]\]\.start_block`"),
        (f'id = "{PRODUCER}"', 'id = "a b"', r"matching regex .* - at `\$\.producers\[[0-9]\]\.id`"),
        ("0x" + address_of(PRODUCER_KEY).hex(), "0x00", f"key of {PRODUCER} must have 20 bytes, not 1"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_named_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    """Breaks one rule at a time in a good manifest."""
    path = write_manifest(tmp_path, manifest_text(**{old: new}))
    with pytest.raises(BadInput, match=message) as refused:
        load_manifest(path)
    assert str(tmp_path) in str(refused.value)


def test_two_producers_do_not_share_an_id(tmp_path: Path) -> None:
    """Lists the same producer twice."""
    text = manifest_text()
    twice = text + text[text.index("[[producers]]") :]
    with pytest.raises(BadInput, match=f"two producers have the id '{PRODUCER}'"):
        load_manifest(write_manifest(tmp_path, twice))


def test_a_manifest_without_contracts_is_refused(tmp_path: Path) -> None:
    """Leaves all contracts out, then has an empty list of them."""
    head = manifest_text().split("[[contracts]]", maxsplit=1)[0]
    for text in (head, "contracts = []\n" + head):
        with pytest.raises(BadInput, match="contracts"):
            load_manifest(write_manifest(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Names a file that is not there, and a folder."""
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(BadInput, match=f"{path} cannot be read"):
            load_manifest(path)


def test_a_file_of_the_wrong_size_or_text_is_refused(tmp_path: Path) -> None:
    """Writes a manifest above the limit, one that is not UTF-8, and an ABI above the limit."""
    path = write_manifest(tmp_path, manifest_text() + "#" * MANIFEST_BYTES_MAX)
    with pytest.raises(BadInput, match=r"manifest\.toml is larger than 1048576 bytes"):
        load_manifest(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match=r"manifest\.toml is not UTF-8 text"):
        load_manifest(path)
    path.write_text(manifest_text())
    (tmp_path / "Models.json").write_text(" " * (MANIFEST_BYTES_MAX + 1))
    with pytest.raises(BadInput, match=r"Models\.json is larger"):
        load_manifest(path)


def _change_transfer(folder: Path, **change: Any) -> Path:
    path = write_manifest(folder)
    abi = json.loads((folder / "DNToken.json").read_text())
    [event] = [item for item in abi if item.get("name") == "Transfer"]
    event["inputs"][2] |= change
    (folder / "DNToken.json").write_text(json.dumps(abi))
    return path


@pytest.mark.parametrize("change", [{"indexed": True}, {"type": "uint128"}, {"name": "amount"}])
def test_an_abi_must_say_what_its_kind_says(tmp_path: Path, change: dict[str, Any]) -> None:
    """Indexes another argument of a token's Transfer, changes its type, gives it another name."""
    with pytest.raises(BadInput, match=r"DNToken\.json must declare the event Transfer"):
        load_manifest(_change_transfer(tmp_path, **change))


@pytest.mark.parametrize("opening", ["[", '[{"type":"event","name":"E","inputs":['])
def test_an_abi_that_is_nested_without_end_is_refused(tmp_path: Path, opening: str) -> None:
    """Reads an ABI of a hundred thousand brackets in a process of its own: if it dies, no other test goes with it."""
    path = write_manifest(tmp_path)
    (tmp_path / "Models.json").write_text(opening + "[" * 100_000)
    code = "import sys, pathlib\nfrom deepnode_ledger.errors import BadInput\n"
    code += "from deepnode_ledger.manifest import load_manifest\n"
    code += "try:\n    load_manifest(pathlib.Path(sys.argv[1]))\nexcept BadInput as error:\n    print(error)"
    child = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert child.returncode == 0, f"the process ended with {child.returncode}: {child.stderr[-300:]}"
    assert "Models.json" in child.stdout


def digest(folder: Path, text: str) -> bytes:
    return load_manifest(write_manifest(folder, text)).digest


def test_the_digest_is_of_what_decides_the_books(tmp_path: Path) -> None:
    """Changes one thing at a time: all that gives a log its meaning changes the digest, and nothing else does."""
    good = digest(tmp_path, manifest_text())
    changes = {
        f"id = {CHAIN_ID}": "id = 1",
        "0x" + GENESIS.hex(): "0x" + "11" * 32,
        DN_ADDRESS: '"0x' + "11" * 20 + '"',
        "decimals = 6": "decimals = 7",
        'symbol = "USDC"': 'symbol = "USD"',
        'name = "Router"': 'name = "Splitter"',
        'asset = "DN"': 'asset = "USDC"',
        'kind = "Models"': 'kind = "Other"',
        f"start_block = {FIRST_BLOCK}": "start_block = 6",
        'abi = "USDCStandIn.json"': 'abi = "Extended.json"',
    }
    found = [good]
    for old, new in changes.items():
        write_manifest(tmp_path)
        abi = json.loads((tmp_path / "USDCStandIn.json").read_text())
        abi.append({"type": "event", "name": "More", "inputs": []})
        (tmp_path / "Extended.json").write_text(json.dumps(abi))
        found.append(digest(tmp_path, manifest_text(**{old: new})))
    assert len(set(found)) == len(changes) + 1
    text = manifest_text()
    without_producers = text[: text.index("[[producers]]")]
    assert digest(tmp_path, without_producers) == good
    assert digest(tmp_path, manifest_text(**{'name = "paper"': 'name = "other"', "version = 1": "version = 2"})) == good
    assert digest(tmp_path / "elsewhere", text + "# a comment\n") == good


def test_a_manifest_from_before_several_chains_keeps_its_digest(tmp_path: Path) -> None:
    """Computes the digest of a small manifest; it was written down when the format knew one chain and plain ABIs."""
    transfer = {"type": "event", "name": "Transfer", "inputs": [
        {"name": "from", "type": "address", "indexed": True},
        {"name": "to", "type": "address", "indexed": True},
        {"name": "value", "type": "uint256", "indexed": False},
    ]}  # fmt: skip
    (tmp_path / "Token.json").write_text(json.dumps([transfer]))
    path = tmp_path / "manifest.toml"
    path.write_text(
        'format = 1\nname = "old"\nversion = 3\n[chain]\nid = 8453\ngenesis_hash = "0x' + "07" * 32 + '"\n'
        '[[contracts]]\nname = "DN"\nkind = "Token"\naddress = "0x' + "d1" * 20 + '"\nstart_block = 5\n'
        'abi = "Token.json"\nsymbol = "DN"\ndecimals = 18\n'
    )
    assert load_manifest(path).digest.hex() == "3910c6657e4a4442571766cbc17b48dd591bf71179e5645da5ec01f1c5c1b260"
    listed = path.read_text().replace('"Token.json"', '[{ from_block = 3, abi = "Token.json" }]')
    path.write_text(listed)
    assert load_manifest(path).digest.hex() == "3910c6657e4a4442571766cbc17b48dd591bf71179e5645da5ec01f1c5c1b260"


def test_the_foundations_address_is_part_of_what_decides_the_books(tmp_path: Path) -> None:
    """Names the foundation, another one, and what is no address."""
    first = 'foundation = "0x' + "f1" * 20 + '"\n'
    named = manifest_text(**{"version = 1\n": "version = 1\n" + first})
    other = named.replace("f1f1", "f2f2", 1)
    found = [digest(tmp_path, text) for text in (manifest_text(), named, other)]
    assert len(set(found)) == 3
    assert load_manifest(write_manifest(tmp_path, named)).foundation == b"\xf1" * 20
    with pytest.raises(BadInput, match="foundation"):
        load_manifest(write_manifest(tmp_path, named.replace("f1", "", 1)))

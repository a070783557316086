"""Proofs of a real devnet: our program and the script of the docs accept every earner's, and no changed one."""

import json
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepnode_cli.proving import proof_file
from deepnode_cli.proving.evidence import from_published
from deepnode_cli.proving.making import Wanted, make_proof
from deepnode_cli.verifying.finding import Finding, Severity
from deepnode_cli.verifying.single import verify_file
from deepnode_graphql.export.books import open_books
from deepnode_graphql.export.request import Question, begin
from deepnode_graphql.statements import data_file
from deepnode_graphql.statements.making import Request, make_statement
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex, to_hex
from deepnode_ledger.publishing import PublishedFiles
from deepnode_ledger.transparency import Verifier
from deepnode_projections.explaining import Asset
from deepnode_projections.projector import connect
from deepnode_projections.registers.at import StateAt
from deepnode_projections.rules.claims import claim_tree
from deepnode_projections.rules.emission import Root
from deepnode_projections.rules.pools import Earned, Reward
from tests.cli.proving.proof_mutations import MUTATIONS, mutated
from tests.cli.proving.standard_checker import CHECKER, Checker, run
from tests.conftest import fresh_database
from tests.e2e.commands import deepnode
from tests.e2e.devnet_bundle import DevnetBundle, devnet_bundle
from tests.projections.maths.openzeppelin_trees import trees_of

BLOCKS = 90
"""Two epochs are over by then, and one of them has a root."""


@dataclass
class Made:
    """A devnet's bundle, the proofs of all its earners by file, and what they are checked with."""

    bundle: DevnetBundle
    proofs: dict[Path, dict[str, Any]]
    trees: list[tuple[Any, Root]] = field(default_factory=list)

    def ours(self, path: Path, **more: Any) -> list[Finding]:
        """The errors that our own verification finds."""
        keys = [Verifier.parse(self.bundle.key)]
        found = verify_file(path, **{"bundle": None, "verifiers": keys, **more})
        return [each for each in found if each.severity is Severity.ERROR]


@pytest.fixture(scope="module")
def made(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The proof of every earner, asset and epoch that is over."""
    folder = tmp_path_factory.mktemp("proofs")
    with fresh_database(postgres_url) as url, devnet_bundle(url, folder, blocks=BLOCKS, evidence=False) as bundle:
        manifest, proofs = bundle.devnet.manifest, dict[Path, dict[str, Any]]()
        prove = cache(from_published(PublishedFiles(folder / "published")))
        with (
            open_books(url, manifest) as books,
            closing(connect(url, "books")) as connection,
            connection.transaction(),
        ):
            past = StateAt(connection, bundle.ledger.projector.catch_up().position)
            assets = {
                each.address: Asset(each.address, each.symbol or "", each.decimals or 0) for each in manifest.tokens
            }
            for earned in past.every(Earned):
                statement = None
                with books.reading() as reading:
                    try:
                        statement = data_file.as_data(
                            make_statement(reading, Request(earned.earner, f"epoch:{earned.epoch}"))
                        )
                    except BadInput:
                        assert earned.earner in manifest.contracts, "only a contract has no statement"
                wanted = Wanted(earned.earner, assets[earned.asset], earned.epoch)
                proof = make_proof(past, manifest, wanted, prove, statement)
                assert proof["amount"] == str(earned.amount)
                path = folder / f"{earned.epoch}-{wanted.asset.symbol}-{earned.earner.hex()}.json"
                path.write_bytes(proof_file.write(proof))
                proofs[path] = proof
            trees = [
                (claim_tree(past.at(root.submitted_position), root.asset, root.epoch), root)
                for root in past.every(Root)
                if root.disabled_reason is None
            ]
            epochs = {each.epoch for each in past.every(Reward)}
        assert len(epochs) >= 2
        yield Made(bundle, proofs, trees)


def test_every_earner_of_every_closed_epoch_has_a_proof(made: Made) -> None:
    """Both verifiers accept all of them; between them they have every role, and OpenZeppelin's library their claims."""
    check, roles, claims = Checker(), set(), 0
    for path, proof in made.proofs.items():
        assert made.ours(path) == []
        verdict = check(made.bundle.key, path)
        assert verdict.accepted, (path.name, verdict.last)
        assert f"has earned {proof['amount']} base units" in verdict.last
        roles |= {line["role"] for line in proof["lines"]}
    assert roles == {"miner", "validator", "delegator", "staker", "owner", "creator", "backer", "foundation"}
    library = trees_of([tree.entitlements for tree, _ in made.trees])
    by_root = {to_hex(root.root): (tree, judged) for (tree, root), judged in zip(made.trees, library, strict=True)}
    for proof in made.proofs.values():
        for claim in filter(None, (proof["claim"], proof["before"])):
            tree, judged = by_root[claim["root"]]
            assert judged["root"] == claim["root"]
            place = [each.earner for each in tree.entitlements].index(from_hex(proof["earner"], 20))
            assert judged["proofs"][place] == claim["proof"]
            claims += 1
    assert claims > len(made.proofs) // 3
    # As an auditor runs it: nothing installed, nothing in the environment.
    for path in list(made.proofs)[:3]:
        assert run(made.bundle.key, path).accepted


def test_no_changed_proof_is_accepted_by_either(made: Made, tmp_path: Path) -> None:
    """114 seeded changes, three of each kind, nearly all with a digest made again: both refuse, and name the step."""
    check, rng, seen = Checker(), Random(20), 0
    proofs = list(made.proofs.values())
    path = tmp_path / "changed.json"
    for kind in MUTATIONS:
        for _ in range(3):
            content = next(filter(None, (mutated(rng.choice(proofs), kind, rng) for _ in range(200))))
            path.write_bytes(content)
            try:
                errors = made.ours(path)
            except BadInput:
                # The change made another kind of file of it, or none at all.
                assert kind == "a byte of the file"
                errors = [Finding(Severity.ERROR, "proof", "file", "it is no proof")]
            assert errors, f"{kind}: our own verification accepts it"
            assert errors[0].where
            assert errors[0].said
            verdict = check(made.bundle.key, path)
            assert not verdict.accepted, f"{kind}: the script accepts it"
            assert verdict.last.startswith("REFUSED: "), verdict
            assert len(verdict.last) > len("REFUSED: "), kind
            seen += 1
    assert seen == 3 * len(MUTATIONS) >= 100


SLIPS = (
    ("(-(total * weights[key] % whole), key)", "(-(total * weights[key] % whole), key[::-1])"),
    ("left = total - sum(total * weight // whole", "left = 1 + total - sum(total * weight // whole"),
    ("total * w // whole + ", "(total * w + 1) // whole + 1 - 1 + "),
    ('"opened"] < last', '"opened"] + 400 < last'),
    ("num(set_[3])", "num(set_[3]) + 1"),
    ("PPM - num(set_[2])", "PPM - 1 - num(set_[2])"),
    ("position - 1", "position - 0"),
    ("set_[6:11]", "set_[7:12]"),
    ("sign * num", "abs(sign) * num"),
    ("sorted((node", "list((node"),
    ('(task["task"], agreed["attempt"])', '(task["task"], agreed["attempt"] + 1)'),
)
"""What somebody could get wrong by one, or by a sign or an order, in the script; each must show in some proof."""


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: slip[1][:30])
def test_a_slip_in_the_script_is_caught_by_the_proofs(made: Made, slip: tuple[str, str]) -> None:
    """The script with one place changed refuses a true proof."""
    text = CHECKER.read_text()
    assert slip[0] in text, slip
    wrong = Checker(text.replace(slip[0], slip[1]))
    assert any(not wrong(made.bundle.key, path).accepted for path in reversed(made.proofs))


def test_a_proof_is_held_against_a_bundle(made: Made, tmp_path: Path) -> None:
    """The replayed books have a proof's lines; what only the file states is found there when it was changed."""
    path = next(path for path, proof in made.proofs.items() if any(d["by"] == "usage" for d in proof["divisions"]))
    found = list(verify_file(path, bundle=made.bundle.path, verifiers=[Verifier.parse(made.bundle.key)]))
    assert not [each for each in found if each.severity is Severity.ERROR], found
    assert any("replayed books" in each.said for each in found)
    changed = json.loads(path.read_bytes())
    changed["foundation"] = "0x" + "11" * 20
    (tmp_path / "changed.json").write_bytes(proof_file.write(changed))
    assert any(each.where == "foundation" for each in made.ours(tmp_path / "changed.json", bundle=made.bundle.path))


def test_the_commands_make_and_verify_a_proof(made: Made, tmp_path: Path) -> None:
    """`deepnode audit proof` writes the same bytes again; `deepnode verify` ends with 0, or 3 for a changed file."""
    path, proof = next(iter(made.proofs.items()))
    again = tmp_path / "again.json"
    settings = {
        "DEEPNODE_DATABASE_URL": made.bundle.ledger.url,
        "DEEPNODE_MANIFEST": str(made.bundle.devnet.deployment.manifest),
        "DEEPNODE_LOG_DIRECTORY": str(made.bundle.folder / "published"),
    }
    arguments = [proof["earner"], "--epoch", str(proof["epoch"]), "--asset", proof["asset"]["symbol"]]
    done = deepnode(["audit", "proof", *arguments, "--output", str(again), "--json"], settings)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["amount"] == proof["amount"]
    assert again.read_bytes() == path.read_bytes()
    assert deepnode(["verify", str(again), "--verifier", made.bundle.key], {}).returncode == 0
    again.write_bytes(again.read_bytes().replace(b'"amount":"', b'"amount":"1', 1))
    assert deepnode(["verify", str(again), "--verifier", made.bundle.key], {}).returncode == 3


def exported(made: Made, source: str, suffix: str, folder: Path, **given: str) -> Path:
    """An export of the devnet's books, as the API and the command write it."""
    path = folder / f"{source}.{suffix}"
    query = "&".join(f"{name}={value}" for name, value in given.items())
    with open_books(made.bundle.ledger.url, made.bundle.devnet.manifest) as books:
        export = begin(books, Question(source, suffix, given, query))
        with path.open("wb") as file, closing(export):
            while (chunk := export.next_chunk()) is not None:
                file.write(chunk)
    return path


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "ndjson"])
def test_an_export_is_verified_alone_and_beside_the_bundle(made: Made, tmp_path: Path, suffix: str) -> None:
    """Postings and rewards of a devnet, in each format: nothing is found, and what was compared is said."""
    for source in ("postings", "rewards"):
        path = exported(made, source, suffix, tmp_path)
        alone = list(verify_file(path, bundle=None, verifiers=[]))
        assert not [each for each in alone if each.severity is Severity.ERROR], alone[:3]
        assert any("cannot show" in each.said for each in alone)
        beside = list(verify_file(path, bundle=made.bundle.path, verifiers=[]))
        assert not [each for each in beside if each.severity is Severity.ERROR], beside[:3]
        assert any("rows are those of the replayed books" in each.said for each in beside)


def changed_rows(table: pa.Table, how: str, rng: Random) -> pa.Table:
    """A table with one row changed."""
    rows, row = table.num_rows, rng.randrange(1, table.num_rows - 1)
    match how:
        case "dropped":
            return pa.concat_tables([table.slice(0, row), table.slice(row + 1)])
        case "doubled":
            return pa.concat_tables([table.slice(0, row + 1), table.slice(row)])
        case "swapped":
            order = [*range(row - 1), row, row - 1, *range(row + 1, rows)]
            return table.take(pa.array(order))
    amounts = table.column("amount").to_pylist()
    amounts[row] += 1
    column = pa.array(amounts, table.schema.field("amount").type)
    return table.set_column(table.schema.get_field_index("amount"), table.schema.field("amount"), column)


@pytest.mark.parametrize("how", ["one unit", "dropped", "doubled", "swapped"])
def test_a_changed_export_is_found(made: Made, tmp_path: Path, how: str) -> None:
    """Five rows of postings are found in the file alone; beside the bundle each missing or additional row is named."""
    rng = Random(how)
    for source in ("postings", "rewards"):
        table = pq.read_table(exported(made, source, "parquet", tmp_path))
        for number in range(5 if source == "postings" else 2):
            path = tmp_path / f"changed-{number}.parquet"
            pq.write_table(changed_rows(table, how, rng), path)
            alone = made.ours(path)
            assert alone or source == "rewards", how
            # The same rows in another order are the same rows; a replay takes a second, so one of each is compared.
            if how != "swapped" and number == 0:
                beside = made.ours(path, bundle=made.bundle.path)
                assert any("replayed books" in each.said for each in beside), (how, beside[:3])


def test_a_changed_statement_is_found(made: Made, tmp_path: Path) -> None:
    """A statement with one unit, one line or one place changed, its digest made again, does not add up."""
    proof = max(made.proofs.values(), key=lambda each: len((each["statement"] or {"lines": ()})["lines"]))
    rng, path = Random(3), tmp_path / "statement.json"

    def write(told: dict[str, Any]) -> None:
        whole = {"format": data_file.FORMAT, "digest": data_file.digest_of(told), "statement": told}
        path.write_bytes(json.dumps(whole, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n")

    write(proof["statement"])
    assert made.ours(path) == []
    assert made.ours(path, bundle=made.bundle.path) == []
    for how in ("amount", "balance", "opening", "closing", "dropped", "doubled", "swapped"):
        for _ in range(4):
            told = json.loads(json.dumps(proof["statement"]))
            lines, row = told["lines"], rng.randrange(1, len(told["lines"]))
            if how in ("amount", "balance"):
                lines[row][how] = str(int(lines[row][how]) + 1)
            elif how in ("opening", "closing"):
                each = rng.choice(told["balances"])
                each[how] = str(int(each[how]) + 1)
            elif how == "dropped":
                lines.pop(row)
            elif how == "doubled":
                lines.insert(row, lines[row])
            else:
                lines[row - 1], lines[row] = lines[row], lines[row - 1]
            write(told)
            assert made.ours(path), how
    # One that adds up and is of another log: only the bundle knows.
    told = json.loads(json.dumps(proof["statement"]))
    wallet = f"Wallet:{told['address']}"
    for each in (*told["balances"], *told["lines"]):
        for name in {"opening", "closing", "balance"} & set(each) if each["account"] == wallet else ():
            each[name] = str(int(each[name]) + 1)
    write(told)
    assert made.ours(path) == []
    assert made.ours(path, bundle=made.bundle.path)


def test_no_hostile_file_crashes_a_verification(made: Made, tmp_path: Path) -> None:
    """Huge numbers, deep JSON, cut and altered Parquet and Arrow files: all are refused in words."""
    rng = Random(8)
    proof = next(iter(made.proofs.values()))
    texts = [
        b'{"format":"deepnode.proof/1"}\n',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"format":"deepnode.proof/1","digest":' + b"9" * 10_000 + b"}",
        b'{"format":"deepnode-statement/1","statement":{}}',
        proof_file.write({**proof, "amount": "9" * 5_000}),
        proof_file.write({**proof, "epoch": 2**63}),
        proof_file.write({**proof, "events": [{"position": 1, "entry": "AA==", "path": [10**15]}]}),
        proof_file.write({**proof, "divisions": [{}]}),
        proof_file.write({**proof, "statement": {"balances": 1, "lines": {}}}),
        proof_file.write(dict.fromkeys(proof)),
    ]
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.json"
        path.write_bytes(text)
        with suppress(BadInput):
            assert made.ours(path), number
        # In a process of its own: within this one other libraries have raised Python's limit of nesting.
        assert not run(made.bundle.key, path).accepted, number
    for suffix in ("parquet", "arrow", "csv", "ndjson"):
        whole = exported(made, "rewards", suffix, tmp_path).read_bytes()
        path = tmp_path / f"cut.{suffix}"
        for _ in range(12):
            raw = bytearray(whole[: rng.randrange(5, len(whole))])
            raw[rng.randrange(4, len(raw))] ^= 0xFF
            path.write_bytes(raw)
            with suppress(BadInput):
                assert made.ours(path) or suffix == "csv", suffix

"""Verifying a statement: what it holds adds up, and beside a bundle it is what the replayed books say."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from deepnode_cli.verifying.finding import Finding
from deepnode_cli.verifying.single import statement_data
from deepnode_cli.verifying.single.beside import Beside
from deepnode_cli.verifying.single.broken import Broken, error, note, require
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import from_hex, to_hex

STAGE: Final = "statement"

CELL_CHARACTERS_MAX: Final = 1 << 20
"""Of a cell of CSV. It is a limit of Python's csv module, which is the whole process's."""

DECIMALS_MAX: Final = 77
"""Of a token: 10**77 is the last power of ten that a word of the chain holds."""

MALFORMED: Final = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError, csv.Error, BadInput)


def verify_statement(path: Path, content: bytes, bundle: Path | None) -> Iterator[Finding]:
    """Verify a statement's file, JSON or CSV."""
    try:
        if content.lstrip().startswith(b"{"):
            yield from _data_file(content, bundle)
        else:
            yield from _lines(content)
    except Broken as broken:
        yield broken.finding(STAGE)
    except MALFORMED as failed:
        yield error(STAGE, str(path), f"the statement is malformed: {type(failed).__name__}: {failed}"[:400])


def _data_file(content: bytes, bundle: Path | None) -> Iterator[Finding]:
    from deepnode_graphql.statements import data_file

    _, told = data_file.read(content)
    made = {"format": data_file.FORMAT, "digest": data_file.digest_of(told), "statement": told}
    canonical = json.dumps(made, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n"
    require(content == canonical, "file", "the bytes are not those that its data are written as")
    lines = statement_data.check(told)
    said = f"opening + lines = closing for {len(told['balances'])} balances and {lines} lines of {told['address']}"
    yield note(STAGE, "statement", said, lines=lines, balances=len(told["balances"]))
    if bundle is None:
        said = "that these are all lines, and that they are the log's, a file alone cannot show: give --bundle"
        yield note(STAGE, "statement", said)
        return
    yield from _beside(told, bundle)


def _beside(told: Mapping[str, Any], bundle: Path) -> Iterator[Finding]:
    """Hold a statement against the books that are replayed up to its position."""
    with Beside.open(bundle) as beside:
        digest = to_hex(beside.manifest.digest)
        require(told["manifest"] == digest, "manifest", f"the bundle's manifest is {digest}")
        wallet = f"Wallet:{told['address']}"
        opening = beside.up_to(told["opening_position"])
        held = {asset: amount for (account, asset), amount in opening.balances.items() if account == wallet}
        rows = [
            (each.position, each.asset, each.amount, each.balance)
            for each in beside.postings(told["position"])
            if each.account == wallet
        ]
        root = to_hex(beside.replay.root())
        require(root == told["state_root"], "state_root", f"the replay's root at {told['position']} is {root}")
    said: dict[bytes, int] = {}
    for each in told["balances"]:
        if each["account"] == wallet:
            asset = from_hex(each["token"]["address"], 20)
            said[asset] = int(each["opening"])
            is_ = held.get(asset, 0)
            require(is_ == int(each["opening"]), f"account {wallet}", f"it held {is_}, the file says {each['opening']}")
    missing = {asset for _, asset, _, _ in rows} - set(said)
    require(not missing, f"account {wallet}", f"{len(missing)} tokens that moved are left out")
    sums: dict[tuple[int, bytes], int] = {}
    for position, asset, amount, _ in rows:
        sums[position, asset] = sums.get((position, asset), 0) + amount
    for line in told["lines"]:
        if line["account"] == wallet:
            key = (line["position"], from_hex(line["token"]["address"], 20))
            sums[key] = sums.get(key, 0) - int(line["amount"])
    wrong = sorted(key for key, left in sums.items() if left)
    if wrong:
        position, asset = wrong[0]
        amount = sums[position, asset]
        said_ = f"the lines of {wallet} leave {amount} of {to_hex(asset)} out, and {len(wrong) - 1} more do not agree"
        raise Broken(f"position {position}", said_, tuple(each for each, _ in wrong[:100]), {"difference": amount})
    words = f"{len(rows)} movements of the wallet are those of the replayed books, whose root is the statement's"
    yield note(STAGE, "statement", words, movements=len(rows))
    if any(each["account"] != wallet for each in told["balances"]):
        yield note(STAGE, "statement", "its other accounts add up; beside the bundle the wallet's were compared")


def _lines(content: bytes) -> Iterator[Finding]:
    """Check the CSV of a statement's lines, which has no opening and closing balances."""
    csv.field_size_limit(CELL_CHARACTERS_MAX)
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))
    held: dict[tuple[str, str], int] = {}
    before: tuple[str, int, int] = ("", 0, -1)
    for row in rows:
        where, key = f"position {row['position']}", (row["account"], row["token address"])
        amount, decimals = _exact(row["amount"])
        balance, of_balance = _exact(row["balance"])
        most = max(decimals, of_balance)
        require(most <= DECIMALS_MAX, where, f"{most} decimals")
        amount, balance = amount * 10 ** (DECIMALS_MAX - decimals), balance * 10 ** (DECIMALS_MAX - of_balance)
        adds_up = key not in held or held[key] + amount == balance
        require(
            adds_up, where, f"{row['account']} held before the line what with {row['amount']} is not {row['balance']}"
        )
        held[key] = balance
        now = (row["time"], int(row["position"]), int(row["leg"]))
        require(
            before[0] <= now[0] and before[1:] < now[1:], where, "lines must stand in the order of the log, each once"
        )
        before = now
    said = f"the balances of {len(held)} accounts and tokens follow from {len(rows)} lines"
    yield note(STAGE, "statement", said, lines=len(rows))
    yield note(STAGE, "statement", "opening and closing balances are not in CSV: the JSON file has them")


def _exact(text: str) -> tuple[int, int]:
    """Return the digits of a decimal text as a whole number, and how many of them stand behind the point."""
    whole, _, part = text.partition(".")
    digits = whole.removeprefix("-") + part
    require(digits.isascii() and digits.isdecimal() and len(digits) <= 120, "amount", f"{text!a:.60} is no amount")
    return int(whole + part), len(part)

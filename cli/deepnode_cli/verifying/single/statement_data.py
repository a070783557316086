"""The arithmetic of a statement's data: opening + lines = closing, per account and token, and lines in their order."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from deepnode_cli.verifying.single.broken import require


def check(told: Mapping[str, Any]) -> int:
    """Check a statement as ``statements.data_file.as_data`` gives it; return how many lines it has.

    Raises:
        Broken: something does not add up. KeyError, TypeError, ValueError: it has not the shape of a statement.
    """
    held: dict[tuple[str, str], int] = {}
    for each in told["balances"]:
        key = (each["account"], each["token"]["address"])
        require(key not in held, f"account {each['account']!a:.120}", "a balance is there twice")
        held[key] = int(each["opening"])
    for line in told["lines"]:
        where, key = f"position {line['position']}", (line["account"], line["token"]["address"])
        require(key in held, where, f"the line is of {line['account']!a:.120}, which has no balance")
        in_period = told["opening_position"] < line["position"] <= told["position"]
        require(in_period, where, "the line is not of the statement's period")
        in_time = told["from_time"] <= line["time"] < told["to_time"]
        require(in_time, where, f"the line's time {line['time']} is not within the period")
        held[key] += int(line["amount"])
        require(
            held[key] == int(line["balance"]),
            where,
            f"{line['account']} has {held[key]} behind the line, the file says {line['balance']!a:.60}",
        )
    for each in told["balances"]:
        closing = held[each["account"], each["token"]["address"]]
        require(
            closing == int(each["closing"]),
            f"account {each['account']}",
            f"opening + lines = {closing}, the file says {each['closing']!a:.60}",
        )
    for one, other in pairwise(told["lines"]):
        in_order = (one["position"], one["leg"]) < (other["position"], other["leg"]) and one["time"] <= other["time"]
        require(in_order, f"position {other['position']}", "lines must stand in the order of the log, each once")
    return len(told["lines"])

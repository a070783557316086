"""No float and no Decimal anywhere near an amount: the log's and the projections' code computes with integers."""

import ast
from collections.abc import Iterator

import pytest

from tests.tidy.tracked import python_files, text_of

# A wait is not an amount. The unit is the last word of such a name, so that the name itself is the permission.
NAMES_OF_TIMES = ("_seconds", "_seconds_max", "_seconds_min")

# Files in which something else may be a float or a Decimal, each with the reason.
ALLOWED: dict[str, str] = {}


def is_a_time(name: str | None) -> bool:
    return name is not None and name.lower().removeprefix("_").endswith(NAMES_OF_TIMES)


def name_of(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=name):
            return name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name
        case _:
            return None


def excused(node: ast.AST) -> list[ast.AST]:
    """The parts of ``node`` in which a float is the value or the type of a time, or is refused."""
    match node:
        case ast.Assign(targets=[target], value=value) if is_a_time(name_of(target)):
            return [value]
        case ast.AnnAssign(target=target, annotation=annotation, value=value) if is_a_time(name_of(target)):
            return [annotation, *([value] if value else [])]
        case ast.keyword(arg=name, value=value) if is_a_time(name):
            return [value]
        case ast.arg(arg=name, annotation=annotation) if annotation and is_a_time(name):
            return [annotation]
        case ast.FunctionDef(name=name, returns=returns) if returns and is_a_time(name):
            return [returns]
        case ast.arguments():
            positional = [*node.posonlyargs, *node.args]
            pairs = [*zip(positional[len(positional) - len(node.defaults) :], node.defaults, strict=True)]
            pairs += [(arg, value) for arg, value in zip(node.kwonlyargs, node.kw_defaults, strict=True) if value]
            return [default for arg, default in pairs if is_a_time(arg.arg)]
        case ast.Call(func=ast.Name(id="isinstance"), args=[_, kinds]):
            return [kinds]
        case _:
            return []


def inexact_numbers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and text of each float literal and each mention of `float`, `Decimal` or the module `decimal`."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        skipped.update(part for top in excused(node) for part in ast.walk(top))
        if node in skipped:
            continue
        match node:
            case ast.Constant(value=float()) | ast.Name(id="float" | "Decimal") | ast.Attribute(attr="Decimal"):
                yield node.lineno, ast.unparse(node)
            case ast.ImportFrom(module="decimal"):
                yield node.lineno, ast.unparse(node)
            case ast.Import(names=names) if any(alias.name == "decimal" for alias in names):
                yield node.lineno, ast.unparse(node)


def test_the_log_and_the_projections_know_no_inexact_number() -> None:
    """Parses both rooms; times in seconds, refusals by isinstance and the allow-list are excepted."""
    found = []
    for path in python_files("ledger", "projections"):
        if str(path) not in ALLOWED:
            found += [f"{path}:{line}: {text}" for line, text in inexact_numbers(ast.parse(text_of(path)))]
    assert found == []


def test_the_allow_list_names_only_files_that_need_it() -> None:
    """Runs the same search over the listed files: each must still have something to be excused."""
    idle = [
        name for name in ALLOWED if not any(inexact_numbers(ast.parse(text_of(path))) for path in python_files(name))
    ]
    assert idle == []


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("rate = 0.01", ["0.01"]),
        ("share = float(amount) * 2", ["float"]),
        ("from decimal import Decimal", ["from decimal import Decimal"]),
        ("def split(amount: float, part=1e-6): ...", ["float", "1e-06"]),
        ("amount = decimal.Decimal(1)", ["decimal.Decimal"]),
        ("POLL_SECONDS = 0.5", []),
        ("delay_seconds_max: float = 0.5", []),
        ("def wait(timeout_seconds: float = 0.5, *, poll_seconds: float = 0.1): ...", []),
        ("wait(timeout_seconds=1.5)", []),
        ("isinstance(value, float)", []),
        ("kind = pa.decimal128(38, 0)", []),
    ],
)
def test_what_counts_as_inexact(source: str, seen: list[str]) -> None:
    """Searches one line of source at a time."""
    assert sorted(text for _, text in inexact_numbers(ast.parse(source))) == sorted(seen)

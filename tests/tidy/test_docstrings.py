"""Who reads a name can read what it means."""

import ast
from collections.abc import Iterator

from tests.tidy.tracked import PACKAGES, python_files, text_of

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def has_first_line(node: Definition | ast.Module) -> bool:
    docstring = ast.get_docstring(node, clean=False)
    return docstring is not None and bool(docstring.partition("\n")[0].strip())


def says_it_elsewhere(node: Definition) -> bool:
    """Whether the definition overrides, overloads or completes another one, which has the docstring."""
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(names & {"override", "overload", "setter", "deleter"})


def public_definitions(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """The public classes, functions and methods; what is inside a function is its own matter."""
    for child in node.body:
        if isinstance(child, Definition) and not child.name.startswith("_"):
            yield f"{prefix}{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from public_definitions(child, f"{prefix}{child.name}.")


def test_every_test_says_how_it_tests() -> None:
    """Parses every test file; the first line of each test function's docstring must not be empty."""
    silent = []
    for path in python_files("tests"):
        for node in ast.walk(ast.parse(text_of(path))) if path.name.startswith("test_") else ():
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.name.startswith("test_"):
                continue
            if not has_first_line(node):
                silent.append(f"{path}:{node.lineno}: {node.name}")
    assert silent == []


def test_every_module_says_why_it_exists() -> None:
    """Parses every Python file; its docstring's first line must not be empty."""
    assert [str(path) for path in python_files() if not has_first_line(ast.parse(text_of(path)))] == []


def test_every_public_definition_has_a_docstring() -> None:
    """Parses the five packages; overrides and overloads are explained where they were first defined."""
    silent = []
    for path in python_files(*PACKAGES):
        for name, node in public_definitions(ast.parse(text_of(path))):
            if not says_it_elsewhere(node) and not has_first_line(node):
                silent.append(f"{path}:{node.lineno}: {name}")
    assert silent == []

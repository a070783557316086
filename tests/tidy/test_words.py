"""Words that do not belong into the project's files, and the reasons that do.

The words are put together from parts here, so that this file does not hold them either.
"""

import io
import re
import tokenize
from pathlib import Path

from tests.tidy.tracked import python_files, text_of, tracked_files

REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("npmmirror", "com"),
        ("anaconda", "org"),
        ("proxy", "golang", "org"),
        ("static", "crates", "io"),
    )
]
# A path that exists on one person's machine only. Paths inside the container image start otherwise.
MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:work|home|Users|root)/\w")
LEFT_OVER = re.compile(rf"\b(?:{'TO'}DO|{'FIX'}ME|{'X' * 3})\b")

DIRECTIVE = re.compile(r"#\s*(?:ruff: )?(?P<kind>noqa|type:\s*ignore)\b(?P<rest>[^#]*(?:#.*)?)")
CODE_AND_REASON = {
    "noqa": re.compile(r":\s*[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*\s*\W+\s*\w.{4,}"),
    "type: ignore": re.compile(r"\[[a-z, -]+\]\s*\W+\s*\w.{4,}"),
}


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in tracked_files():
        for number, line in enumerate(text_of(path).splitlines(), 1):
            if match := pattern.search(line):
                found.append(f"{path}:{number}: {match[0]}")
    return found


def comments(path: Path) -> list[tuple[int, str]]:
    tokens = tokenize.generate_tokens(io.StringIO(text_of(path)).readline)
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]


def test_no_file_names_the_host_of_a_package_registry() -> None:
    """Searches every tracked text file, lock files included: where packages come from is the user's choice."""
    assert lines_with(re.compile("|".join(map(re.escape, REGISTRY_HOSTS)))) == []


def test_no_file_names_a_path_of_one_machine() -> None:
    """Searches every tracked text file for absolute paths below somebody's home or work folder."""
    assert lines_with(MACHINE_PATH) == []


def test_nothing_is_left_for_later() -> None:
    """Searches every tracked text file for the usual three marks."""
    assert lines_with(LEFT_OVER) == []


def test_every_ignored_rule_is_named_and_has_a_reason() -> None:
    """Reads the comments of every Python file: `# noqa: S608 - why` and `# type: ignore[misc] # why` are complete."""
    bare = []
    for path in python_files():
        for line, comment in comments(path):
            for match in DIRECTIVE.finditer(comment):
                kind = "noqa" if match["kind"] == "noqa" else "type: ignore"
                if not CODE_AND_REASON[kind].match(match["rest"]):
                    bare.append(f"{path}:{line}: {comment}")
    assert bare == []

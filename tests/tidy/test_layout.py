"""Where files are and what they are called."""

from collections import Counter

from tests.tidy.tracked import PACKAGES, ROOMS, ROOT, python_files, text_of

LINES_MAX = 400
NAMES_THAT_SAY_NOTHING = {"utils.py", "util.py", "constants.py", "helpers.py", "common.py", "misc.py"}


def test_no_room_and_no_test_folder_is_a_package() -> None:
    """Looks on disk, not in git: an __init__.py that only lies here would already shadow graphql-core."""
    inits = [*(ROOT / "tests").rglob("__init__.py"), *(ROOT / room / "__init__.py" for room in ROOMS)]
    assert [path for path in inits if path.exists()] == []


def test_every_package_has_a_front_door_and_its_types() -> None:
    """Looks for __init__.py and py.typed in each of the five packages."""
    missing = [f"{package}/{name}" for package in PACKAGES for name in ("__init__.py", "py.typed")]
    assert [path for path in missing if not (ROOT / path).is_file()] == []


def test_test_files_have_unique_names() -> None:
    """Counts the names of all test modules: without packages around them, two of one name would be confused."""
    names = Counter(path.name for path in python_files("tests") if path.name != "conftest.py")
    assert [name for name, times in names.items() if times > 1] == []


def test_no_python_file_is_too_long_to_read() -> None:
    """Counts the lines of every Python file."""
    lengths = {str(path): text_of(path).count("\n") for path in python_files()}
    assert {path: lines for path, lines in lengths.items() if lines > LINES_MAX} == {}


def test_no_file_is_a_drawer_for_anything() -> None:
    """Looks for file names that do not say what is inside."""
    assert [str(path) for path in python_files() if path.name in NAMES_THAT_SAY_NOTHING] == []

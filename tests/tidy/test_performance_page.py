"""The performance page says what the benchmarks found, and nothing else."""

from benchmarks import page


def test_the_page_is_made_from_the_benchmarks_files() -> None:
    """Makes the page again and compares; `make bench-log` writes both."""
    assert page.PAGE.read_text(encoding="utf-8") == page.page()

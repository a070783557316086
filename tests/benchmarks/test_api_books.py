"""The books that the API's benchmark asks can be made, whatever columns records have by now."""

from pathlib import Path

import psycopg
import pytest
from benchmarks import api_books


def test_small_books_of_the_benchmark_are_made(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Makes a hundredth of them, and counts the tasks and postings."""
    for size in ("BLOCKS", "ENTRIES", "ACCOUNTS", "TASKS"):
        monkeypatch.setattr(api_books, size, getattr(api_books, size) // 100)
    api_books.write_books(database_url, tmp_path)
    with psycopg.connect(database_url) as connection:
        counts = connection.execute("SELECT (SELECT count(*) FROM books.task), (SELECT count(*) FROM books.posting)")
        assert counts.fetchone() == (api_books.TASKS, 2 * api_books.ENTRIES)

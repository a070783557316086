"""Running the API as a server of its own."""

import socket
from pathlib import Path
from typing import Final

import uvicorn
from typing_extensions import override

from deepnode_graphql.app import make_app
from deepnode_graphql.live.live import Live
from deepnode_graphql.terms import NO_TERMS, Terms
from deepnode_ledger.errors import BadInput
from deepnode_ledger.manifest import Manifest
from deepnode_projections.tables import SCHEMA

HOST: Final = "127.0.0.1"
PORT: Final = 8000
SHUTDOWN_SECONDS_MAX: Final = 10
WEBSOCKET_BYTES_MAX: Final = 1024 * 1024


class Server(uvicorn.Server):
    """The server that ends what would go on for ever when it is told to stop: requests under way are finished."""

    def __init__(self, config: uvicorn.Config, live: Live) -> None:
        super().__init__(config)
        self._live = live

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._live.end()
        await super().shutdown(sockets)


def serve(
    database_url: str,
    manifest: Manifest,
    host: str = HOST,
    port: int = PORT,
    *,
    schema: str = SCHEMA,
    log_directory: Path | None = None,
    dataset_directory: Path | None = None,
    bundle_directory: Path | None = None,
    log_level: str = "info",
    terms: Terms = NO_TERMS,
) -> None:
    """Serve the API until the process is told to stop (SIGINT or SIGTERM); requests under way are finished.

    Args:
        database_url: what libpq takes, such as ``postgresql://user@host:5432/name``.
        manifest: the one that the books were made with.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one, which the log names.
        schema: the PostgreSQL schema that holds the books.
        log_directory: where the log is published, if it is.
        dataset_directory: where the dataset of closed epochs is, if there is one.
        bundle_directory: where a bundle is, if there is one.
        log_level: uvicorn's name of what is logged at least.
        terms: what is allowed to whom.

    Raises:
        BadInput: the address cannot be listened on, ``database_url`` is not a connection string, or the documents of
            the terms cannot be asked.
    """
    app = make_app(
        database_url,
        manifest,
        schema=schema,
        log_directory=log_directory,
        dataset_directory=dataset_directory,
        bundle_directory=bundle_directory,
        terms=terms,
    )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise BadInput(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level=log_level,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS_MAX,
        server_header=False,
        # Who may say who the client is, is among the terms.
        proxy_headers=False,
    )
    with listener:
        Server(config, app.state.live).run(sockets=[listener])

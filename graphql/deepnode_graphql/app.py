"""The API as an ASGI application: its routes, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from deepnode_graphql.answers import incident
from deepnode_graphql.bundle_files import BundleEndpoint
from deepnode_graphql.client_rates import Door
from deepnode_graphql.dataset.http import DatasetEndpoint
from deepnode_graphql.export.http import ExportEndpoint
from deepnode_graphql.graphql_http import GraphQLEndpoint
from deepnode_graphql.live.live import Live
from deepnode_graphql.live.sse import SseEndpoint
from deepnode_graphql.live.websocket import WebSocketEndpoint
from deepnode_graphql.log_files import LogFilesEndpoint
from deepnode_graphql.operations import OperationsEndpoint
from deepnode_graphql.pages import PageEndpoint
from deepnode_graphql.service import Service, make_service
from deepnode_graphql.statements.http import StatementEndpoint
from deepnode_graphql.terms import NO_TERMS, Terms
from deepnode_ledger.manifest import Manifest
from deepnode_projections.tables import SCHEMA

SENT: Final = ("Content-Type", "If-None-Match", "If-Range", "Last-Event-ID", "Range")
"""The headers that a web page may send, beside those that every page may."""

SHOWN: Final = ("ETag", "Retry-After", "Content-Disposition", "Content-Range", "Accept-Ranges")
"""The headers of an answer that a web page may read, beside those that every page may."""


def make_app(
    database_url: str,
    manifest: Manifest,
    *,
    schema: str = SCHEMA,
    log_directory: Path | None = None,
    dataset_directory: Path | None = None,
    bundle_directory: Path | None = None,
    terms: Terms = NO_TERMS,
) -> Starlette:
    """Wire the API. Nothing connects yet: the first request does, and a database that is away is answered with 503.

    Args:
        database_url: what libpq takes, such as ``postgresql://user@host:5432/name``.
        manifest: the one that the books were made with.
        schema: the PostgreSQL schema that holds the books.
        log_directory: where the log is published, if it is.
        dataset_directory: where the dataset of closed epochs is, if there is one.
        bundle_directory: where a bundle is, if there is one.
        terms: what is allowed to whom.

    Raises:
        BadInput: ``database_url`` is not a connection string, or the documents of the terms cannot be asked.
    """
    service = make_service(database_url, manifest, schema, terms)
    graphql = GraphQLEndpoint(service)
    export = ExportEndpoint(service)
    statements = StatementEndpoint(service)
    operations = OperationsEndpoint(service)
    log_files = LogFilesEndpoint(log_directory)
    dataset = DatasetEndpoint(service, dataset_directory)
    bundle = BundleEndpoint(service, bundle_directory)
    page = PageEndpoint()
    live = Live(service, database_url, schema)
    sockets, events = WebSocketEndpoint(live), SseEndpoint(live)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            service.close()
            export.close()

    app = Starlette(
        routes=[
            Route("/", page.page),
            Route("/page.js", page.script),
            Route("/page.css", page.style),
            Route("/schema.graphql", page.schema),
            Route("/graphql", events.graphql(graphql.answer), methods=["GET", "POST"]),
            WebSocketRoute("/graphql", sockets.serve),
            Route("/live/{name}", events.stream, methods=["GET"]),
            Route("/export", export.catalogue, methods=["GET"]),
            Route("/export/{source}.{suffix}", export.export, methods=["GET"]),
            Route("/statement/{address}.{suffix}", statements.file, methods=["GET"]),
            Route("/dataset/{path:path}", dataset.file, methods=["GET"]),
            Route("/bundle/{path:path}", bundle.file, methods=["GET"]),
            Route("/log/checkpoint", log_files.checkpoint),
            Route("/log/tile/{path:path}", log_files.tile),
            Route("/log/proof/{position:int}", log_files.proof),
            Route("/health", operations.health),
            Route("/ready", operations.ready),
            Route("/metrics", operations.metrics),
        ],
        lifespan=lifespan,
        middleware=_middleware(service, terms),
        exception_handlers={Exception: _fault},
    )
    app.state.service = service
    app.state.live = live
    app.state.sockets = sockets
    return app


async def _fault(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": {"message": incident(error), "code": "INTERNAL"}}, 500)


def _middleware(service: Service, terms: Terms) -> list[Middleware]:
    door = Middleware(Door, terms, service.rates)
    if not terms.origins:
        return [door]
    # Outermost, so that a page can also read a refusal.
    cors = Middleware(
        CORSMiddleware,
        allow_origins=terms.origins,
        allow_methods=("GET", "POST"),
        allow_headers=SENT,
        expose_headers=SHOWN,
        max_age=86_400,
    )
    return [cors, door]

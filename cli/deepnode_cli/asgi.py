"""The API for whoever brings an ASGI server: ``uvicorn deepnode_cli.asgi:app``.

The settings are read when the server starts and not when this file is imported, so that importing it needs none:
``DEEPNODE_DATABASE_URL`` and ``DEEPNODE_MANIFEST`` (the path of manifest.toml), as for ``deepnode serve``.
"""

import os
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from deepnode_graphql.app import make_app
from deepnode_ledger.errors import BadInput, DeepNodeError
from deepnode_ledger.manifest import load_manifest


class ApiFromSettings:
    """The API, wired from the environment at the server's start."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one connection of the server's; the first is its start."""
        if self._app is None:
            try:
                self._app = _wire()
            except DeepNodeError as error:
                if scope["type"] != "lifespan":
                    raise
                # A server takes an exception here for an application that knows no start, and goes on without one.
                await receive()
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
        await self._app(scope, receive, send)


def _wire() -> ASGIApp:
    return make_app(_setting("DEEPNODE_DATABASE_URL"), load_manifest(Path(_setting("DEEPNODE_MANIFEST"))))


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise BadInput(f"{name} must be set")
    return value


app = ApiFromSettings()
"""What ``uvicorn deepnode_cli.asgi:app`` runs."""

"""The API for whoever brings an ASGI server: ``uvicorn deepnode_cli.asgi:app``.

The settings are read when the server starts and not when this file is imported, so that importing it needs none:
``DEEPNODE_DATABASE_URL``, ``DEEPNODE_MANIFEST`` (the path of manifest.toml), and those that tell what is allowed to
whom, as for ``deepnode serve``.
"""

import os
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from deepnode_cli import settings
from deepnode_graphql.app import make_app
from deepnode_graphql.terms import Terms
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
    database_url, manifest = _setting("DEEPNODE_DATABASE_URL"), _setting("DEEPNODE_MANIFEST")
    dataset, bundle = (os.environ.get(f"DEEPNODE_{each}_DIRECTORY") for each in ("DATASET", "BUNDLE"))
    return make_app(
        database_url,
        load_manifest(Path(manifest)),
        dataset_directory=Path(dataset) if dataset else None,
        bundle_directory=Path(bundle) if bundle else None,
        terms=_terms(),
    )


def _terms() -> Terms:
    documents = os.environ.get("DEEPNODE_DOCUMENTS")
    return Terms(
        request_rate=_rate("DEEPNODE_API_REQUEST_RATE", settings.API_REQUEST_RATE),
        value_rate=_rate("DEEPNODE_API_VALUE_RATE", settings.API_VALUE_RATE),
        proxies=tuple(os.environ.get("DEEPNODE_TRUSTED_PROXIES", "").split()),
        origins=tuple(os.environ.get("DEEPNODE_ORIGINS", "").split()),
        documents=Path(documents) if documents else None,
        documents_only=_is_on("DEEPNODE_DOCUMENTS_ONLY"),
    )


def _rate(name: str, otherwise: int) -> int:
    value = os.environ.get(name) or str(otherwise)
    if not (value.isascii() and value.isdigit()):
        raise BadInput(f"{name} must be a whole number, not {value!r:.80}")
    return int(value)


def _is_on(name: str) -> bool:
    value = os.environ.get(name, "").lower()
    if value not in ("", "0", "1", "false", "true", "no", "yes", "off", "on"):
        raise BadInput(f"{name} must be 1 or 0, not {value!r:.80}")
    return value in ("1", "true", "yes", "on")


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise BadInput(f"{name} must be set")
    return value


app = ApiFromSettings()
"""What ``uvicorn deepnode_cli.asgi:app`` runs."""

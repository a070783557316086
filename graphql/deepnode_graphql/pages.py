"""The page at /: where the books stand, and a place to ask. It loads nothing but the three files of its own."""

from functools import cache
from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from deepnode_graphql.schema import schema_text

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class PageEndpoint:
    """/, its script and style, and the schema as text."""

    async def page(self, _request: Request) -> Response:
        """Send the page."""
        return _file("page.html", "text/html")

    async def script(self, _request: Request) -> Response:
        """Send the page's script."""
        return _file("page.js", "text/javascript")

    async def style(self, _request: Request) -> Response:
        """Send the page's style."""
        return _file("page.css", "text/css")

    async def schema(self, _request: Request) -> Response:
        """Send the schema in GraphQL's own language."""
        return Response(_schema(), media_type="text/plain; charset=utf-8")


def _file(name: str, media_type: str) -> Response:
    headers = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return Response(_bytes(name), 200, headers, f"{media_type}; charset=utf-8")


@cache
def _bytes(name: str) -> bytes:
    return resources.files("deepnode_graphql").joinpath("page", name).read_bytes()


@cache
def _schema() -> str:
    return schema_text()

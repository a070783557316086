"""Statements over HTTP: the very bytes that ``deepnode statement`` writes, with an ETag of them.

``GET /statement/ADDRESS.SUFFIX?from=…&to=…``: the suffix is that of a format's files (``pdf``, ``journal``,
``koinly.csv`` …).
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from anyio import to_thread
from sqlalchemy import text
from starlette.datastructures import QueryParams
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from deepnode_graphql.scalars import parse_address
from deepnode_graphql.service import EXPORTS_AT_ONCE, Service
from deepnode_graphql.statements.formats import BY_SUFFIX, file_name
from deepnode_graphql.statements.making import Request, make_statement
from deepnode_graphql.statements.writer import Writer
from deepnode_ledger.errors import BadInput, TryAgain

PARAMETERS: Final = ("from", "to", "fiat", "source", "known", "continues")

LINES_MAX: Final = 20_000
"""Lines of a statement over HTTP; the command takes more."""

STATEMENT_SECONDS_MAX: Final = 60
"""For each query of the database."""

_TEXT_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class File:
    """A statement's file: its bytes, its name, and the format that it is of."""

    content: bytes
    name: str
    writer: Writer

    @property
    def tag(self) -> str:
        """The ETag: equal bytes have equal tags."""
        return f'"{hashlib.sha256(self.content).hexdigest()}"'


class StatementEndpoint:
    """GET /statement/{address}.{suffix}."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def file(self, request: HttpRequest) -> Response:
        """Answer with a statement's file, or that it is still the one that the client has."""
        if self._service.exports_running >= EXPORTS_AT_ONCE:
            return self._error("try_again", 503, f"{EXPORTS_AT_ONCE} exports are running: try again when one ends")
        named = f"{request.path_params['address']}.{request.path_params['suffix']}"
        self._service.exports_running += 1
        try:
            file = await to_thread.run_sync(lambda: open_file(self._service, named, request.query_params))
        except BadInput as error:
            return self._error("refused", 400, str(error))
        except TryAgain as error:
            return self._error("try_again", 503, str(error))
        finally:
            self._service.exports_running -= 1
        # A statement is somebody's own; and only the books know whether it is still the same.
        headers = {"ETag": file.tag, "Cache-Control": "private, no-cache"}
        if file.tag in [
            each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")
        ]:
            self._service.answered["statement", "unchanged"] += 1
            return Response(status_code=304, headers=headers)
        self._service.answered["statement", "answered"] += 1
        headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
        headers["X-Content-Type-Options"] = "nosniff"
        return Response(file.content, 200, headers, file.writer.media_type)

    def _error(self, outcome: str, status: int, message: str) -> Response:
        self._service.answered["statement", outcome] += 1
        code = "TRY_AGAIN" if status == 503 else "BAD_INPUT"
        headers = {"Retry-After": "2"} if status == 503 else {}
        return JSONResponse({"error": {"message": message, "code": code}}, status, headers)


def open_file(service: Service, named: str, parameters: QueryParams) -> File:
    """Make the file that a path and its parameters name.

    Raises:
        BadInput: the path or a parameter breaks a rule.
        TryAgain: the database is away.
    """
    address, _, suffix = named.partition(".")
    writer = BY_SUFFIX.get(suffix)
    if writer is None:
        raise BadInput(f"no statement ends in {suffix!r:.40}: there are {', '.join(BY_SUFFIX)}")
    given: dict[str, str] = {}
    for name, value in parameters.multi_items():
        if name not in PARAMETERS:
            raise BadInput(f"unknown parameter {name!r:.80}: there are {', '.join(PARAMETERS)}")
        if name in given:
            raise BadInput(f"{name} is given twice")
        if len(value) > _TEXT_MAX or not value.isprintable():
            raise BadInput(f"{name} must be at most {_TEXT_MAX} printable characters, not {value!r:.80}")
        given[name] = value
    if "from" not in given:
        raise BadInput("from is missing: when does the period begin?")
    if given.get("continues", "no") not in ("yes", "no"):
        raise BadInput(f"continues must be yes or no, not {given['continues']!r:.40}")
    who = parse_address(address)
    wanted = Request(
        who,
        given["from"],
        given.get("to"),
        given.get("fiat"),
        given.get("source"),
        given.get("known"),
        given.get("continues") == "yes",
    )
    with service.reading() as reading:
        reading.database.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS_MAX}s'"))
        statement = make_statement(reading, wanted, lines_max=LINES_MAX)
    return File(writer.write(statement), file_name(statement, writer), writer)

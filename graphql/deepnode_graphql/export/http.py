"""Exports over HTTP: what may be asked, what the file says of itself, and a stream that keeps memory flat."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import anyio
from anyio import to_thread
from sqlalchemy import text
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from deepnode_graphql.export import posting_rows
from deepnode_graphql.export.arrow_stream import MEDIA_TYPE, ipc_stream
from deepnode_graphql.export.posting_rows import PostingSelection, posting_batches
from deepnode_graphql.filters import text as checked_text
from deepnode_graphql.moments import At
from deepnode_graphql.reading import Reading
from deepnode_graphql.reads.meta import code_version
from deepnode_graphql.scalars import LONG_MAX, Long, parse_address
from deepnode_graphql.service import EXPORTS_AT_ONCE, Service
from deepnode_ledger.errors import BadInput, TryAgain
from deepnode_ledger.hexadecimal import to_hex

PARAMETERS: Final = ("at_block", "at_position", "at_time", "from_position", "account", "holder", "asset")

EXPORT_STATEMENT_SECONDS_MAX: Final = 60
"""For each batch: a filter that keeps few rows reads past many."""


@dataclass
class Export:
    """An export that has begun: its bytes, and the transaction that they are read in."""

    name: str
    chunks: Iterator[bytes]
    resources: ExitStack

    def next_chunk(self) -> bytes | None:
        """Return the next bytes, or None at the end."""
        return next(self.chunks, None)


class ExportEndpoint:
    """GET /export/postings.arrow."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def postings_arrow(self, request: Request) -> Response:
        """Stream the lines of the books as an Arrow IPC stream."""
        if self._service.exports_running >= EXPORTS_AT_ONCE:
            return self._error("try_again", 503, f"{EXPORTS_AT_ONCE} exports are running: try again when one ends")
        self._service.exports_running += 1
        try:
            export = await to_thread.run_sync(lambda: open_export(self._service, request.query_params))
        except BaseException as error:
            self._service.exports_running -= 1
            if isinstance(error, BadInput):
                return self._error("refused", 400, str(error))
            if isinstance(error, TryAgain):
                return self._error("try_again", 503, str(error))
            raise
        self._service.answered["export", "answered"] += 1
        return _ExportResponse(self._service, export, head=request.method == "HEAD")

    def _error(self, outcome: str, status: int, message: str) -> Response:
        self._service.answered["export", outcome] += 1
        code = "TRY_AGAIN" if status == 503 else "BAD_INPUT"
        headers = {"Retry-After": "2"} if status == 503 else {}
        return JSONResponse({"error": {"message": message, "code": code}}, status, headers)


def open_export(service: Service, parameters: QueryParams) -> Export:
    """Open the reading of an export and describe the file, before its first byte is sent.

    Raises:
        BadInput: a parameter is unknown, given twice, or breaks a rule.
        TryAgain: the database is away.
    """
    given = _single(parameters)
    with ExitStack() as opening:
        reading = opening.enter_context(service.reading())
        reading.database.execute(text(f"SET LOCAL statement_timeout = '{EXPORT_STATEMENT_SECONDS_MAX}s'"))
        selection = _selection(reading, given)
        metadata = describe(reading, selection, str(parameters))
        chunks = ipc_stream(posting_batches(reading, selection), posting_rows.SCHEMA, metadata)
        name = f"deepnode-{reading.manifest.chain_id}-postings-{selection.moment.position}.arrow"
        return Export(name, chunks, opening.pop_all())


def describe(reading: Reading, selection: PostingSelection, query: str) -> dict[str, str]:
    """Say what a file is of, for the metadata of its schema: equal files have equal descriptions."""
    moment = selection.moment
    return {
        "deepnode.format": "postings/1",
        "deepnode.chain_id": str(reading.manifest.chain_id),
        "deepnode.block_number": "" if moment.block is None else str(moment.block.number),
        "deepnode.block_hash": "" if moment.block is None else to_hex(moment.block.hash),
        "deepnode.position": str(moment.position),
        "deepnode.finality": "SEALED" if moment.final else "PENDING",
        "deepnode.manifest": f"{reading.manifest.name} {reading.manifest.version}",
        "deepnode.manifest_digest": to_hex(reading.manifest.digest),
        "deepnode.code_version": code_version(),
        "deepnode.query": query,
        "deepnode.state_root": to_hex(reading.root(moment)),
    }


class _ExportResponse(StreamingResponse):
    def __init__(self, service: Service, export: Export, *, head: bool) -> None:
        headers = {"Content-Disposition": f'attachment; filename="{export.name}"', "Cache-Control": "no-store"}
        super().__init__(_nothing() if head else _chunks(export), 200, headers, MEDIA_TYPE)
        self._service, self._export = service, export

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # The connection goes back at once, also when the client went away in the middle.
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._export.resources.close)
            self._service.exports_running -= 1


async def _chunks(export: Export) -> AsyncIterator[bytes]:
    while (chunk := await to_thread.run_sync(export.next_chunk)) is not None:
        yield chunk


async def _nothing() -> AsyncIterator[bytes]:
    # What HEAD is answered with; the yield makes it a generator.
    yield b""


def _single(parameters: QueryParams) -> Mapping[str, str]:
    given: dict[str, str] = {}
    for name, value in parameters.multi_items():
        if name not in PARAMETERS:
            raise BadInput(f"unknown parameter {name!r:.80}: there are {', '.join(PARAMETERS)}")
        if name in given:
            raise BadInput(f"{name} is given twice")
        given[name] = value
    return given


def _selection(reading: Reading, given: Mapping[str, str]) -> PostingSelection:
    moments = {name.removeprefix("at_"): _whole(name, given[name]) for name in PARAMETERS[:3] if name in given}
    if len(moments) > 1:
        raise BadInput(f"give one of {', '.join(PARAMETERS[:3])}, not {len(moments)}")
    at = At(**{name: Long(value) for name, value in moments.items()}) if moments else None
    asset = given.get("asset")
    holder = given.get("holder")
    account = given.get("account")
    return PostingSelection(
        moment=reading.moment(at),
        from_position=_whole("from_position", given.get("from_position", "1")),
        account=None if account is None else checked_text(account, "account"),
        holder=None if holder is None else parse_address(holder),
        asset_id=None if asset is None else reading.asset_id(asset),
    )


def _whole(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 16 and int(value) <= LONG_MAX):
        raise BadInput(f"{name} must be a whole number up to {LONG_MAX}, not {value!r:.80}")
    return int(value)

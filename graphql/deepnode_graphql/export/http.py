"""Exports over HTTP: every source in every format at /export/SOURCE.FORMAT, and what there is at /export.

Of a moment that no reorg can change, a file is the same bytes whenever it is asked for: it has a strong ETag, and a
download that was cut off goes on where it stopped (Range, If-Range). How, see ``export.spool``: from a file that was
kept while the first attempt was sent; else the export is made again, once to know how long it is if that is not known,
and the bytes before the range are left out.
"""

from collections.abc import Mapping

from anyio import to_thread
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deepnode_graphql.export.answer import Answer, headers_of, refusal
from deepnode_graphql.export.catalogue import catalogue
from deepnode_graphql.export.ranges import has_already
from deepnode_graphql.export.request import Question, look
from deepnode_graphql.export.spool import Spool
from deepnode_graphql.service import Service
from deepnode_ledger.errors import BadInput, TryAgain


class ExportEndpoint:
    """GET and HEAD /export and /export/SOURCE.FORMAT."""

    def __init__(self, service: Service, spool: Spool | None = None) -> None:
        self._service = service
        self._spool = spool or Spool()

    async def catalogue(self, request: Request) -> Response:
        """Say what can be exported, and how."""
        return JSONResponse(catalogue())

    async def export(self, request: Request) -> Response:
        """Send an export, or a part of one."""
        try:
            question = _question(request)
            asked = await to_thread.run_sync(lambda: look(self._service, question))
        except (BadInput, TryAgain) as error:
            return refusal(self._service, error)
        if has_already(request.headers, asked.tag):
            self._service.answered["export", "answered"] += 1
            return Response(None, 304, headers_of(asked))
        return Answer(self._service, self._spool, request, question, asked)

    def close(self) -> None:
        """Remove the files that were kept."""
        self._spool.close()


def _question(request: Request) -> Question:
    parameters = request.query_params
    name = request.path_params
    return Question(name["source"], name["suffix"], _single(parameters), str(parameters))


def _single(parameters: QueryParams) -> Mapping[str, str]:
    given: dict[str, str] = {}
    for name, value in parameters.multi_items():
        if name in given:
            raise BadInput(f"{name:.80} is given twice")
        given[name] = value
    return given

"""What an operator's tools ask: is the process up, are the books there, and how do they do."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from deepnode_graphql.service import Service
from deepnode_ledger.errors import BadInput, TryAgain


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the books are. ``lag`` counts the log entries that are not in them yet; blocks are heights or None."""

    position: int
    sealed_position: int
    log_position: int
    lag: int
    reorgs: int
    tip: int | None
    finalized: int | None


class OperationsEndpoint:
    """/health, /ready and /metrics."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def health(self, _request: Request) -> Response:
        """Say that the process is up."""
        return JSONResponse({"status": "up"})

    async def ready(self, _request: Request) -> Response:
        """Say whether the books can be read; 503 and the reason if not."""
        try:
            standing = await self._service.in_thread(self._standing)
        except (TryAgain, BadInput) as error:
            return JSONResponse({"ready": False, "reason": str(error)}, 503, {"Retry-After": "2"})
        return JSONResponse({"ready": True, "position": standing.position, "lag": standing.lag, "tip": standing.tip})

    async def metrics(self, _request: Request) -> Response:
        """Tell the figures in Prometheus' text format; ``deepnode_api_ready`` is 0 while the books cannot be read."""
        try:
            standing = await self._service.in_thread(self._standing)
        except (TryAgain, BadInput):
            standing = None
        text = "".join(self._lines(standing))
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    def _standing(self) -> Standing:
        with self._service.reading() as reading:
            checkpoint = reading.checkpoint
            log_position = reading.snapshot.head.last_position
            return Standing(
                position=checkpoint.position,
                sealed_position=checkpoint.sealed_position,
                log_position=log_position,
                # Right after a reorg the log may be shorter than the books.
                lag=max(0, log_position - checkpoint.position),
                reorgs=checkpoint.reorg_number,
                tip=None if checkpoint.tip is None else checkpoint.tip.number,
                finalized=None if checkpoint.finalized is None else checkpoint.finalized.number,
            )

    def _lines(self, standing: Standing | None) -> list[str]:
        lines = _metric("deepnode_api_ready", "gauge", "Whether the books can be read.", int(standing is not None))
        if standing is not None:
            figures: list[tuple[str, str, Any]] = [
                ("position", "The last log entry that is in the books.", standing.position),
                ("sealed_position", "The last log entry that never changes again.", standing.sealed_position),
                ("log_position", "The last entry of the log.", standing.log_position),
                ("lag_positions", "Log entries that are not in the books yet.", standing.lag),
                ("reorgs", "Reorgs that the books have followed.", standing.reorgs),
                ("tip_block", "The last block that the books cover.", standing.tip),
                ("finalized_block", "The newest block known to be final.", standing.finalized),
            ]
            for name, text, figure in figures:
                if figure is not None:
                    lines += _metric(f"deepnode_books_{name}", "gauge", text, figure)
        lines += [
            "# HELP deepnode_api_requests_total Requests by route and by what they came to.\n",
            "# TYPE deepnode_api_requests_total counter\n",
        ]
        lines += [
            f'deepnode_api_requests_total{{route="{route}",outcome="{outcome}"}} {count}\n'
            for (route, outcome), count in sorted(self._service.answered.items())
        ]
        lines += [
            "# HELP deepnode_api_limited_total Requests that were answered with 429, by the rate that was used up.\n",
            "# TYPE deepnode_api_limited_total counter\n",
        ]
        limited = self._service.rates.limited
        lines += [f'deepnode_api_limited_total{{limit="{limit}"}} {limited[limit]}\n' for limit in sorted(limited)]
        return lines + self._service.live.lines()


def _metric(name: str, kind: str, text: str, figure: int) -> list[str]:
    return [f"# HELP {name} {text}\n", f"# TYPE {name} {kind}\n", f"{name} {figure}\n"]

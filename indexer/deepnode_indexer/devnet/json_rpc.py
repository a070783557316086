"""JSON-RPC to the local node: one keep-alive connection, single calls and batches.

For the devnet alone. It trusts the node at the other end, which the indexer's own client must never do: there are no
retries, no second provider and no limits here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
import urllib3

from deepnode_ledger.errors import TryAgain


class NodeError(TryAgain):
    """The node answered a call with an error."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.method = method
        self.code = code
        self.message = message


class NodeUnreachableError(TryAgain):
    """Nobody answers at the node's address."""


class JsonRpc:
    """Calls to one node. Connects on first use; `close` may be left out, connections close with the object."""

    def __init__(self, url: str, timeout_seconds: int = 60) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None or parts.port is None:
            raise ValueError(f"a local node's address looks like http://127.0.0.1:8545, not {url!r}")
        self.url = url
        self._pool = urllib3.HTTPConnectionPool(
            parts.hostname, parts.port, maxsize=1, timeout=timeout_seconds, retries=False
        )

    def call(self, method: str, *params: object) -> Any:
        """The result of one call."""
        return self.batch([(method, params)])[0]

    def batch(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        """The results of several calls, in their order, by one request.

        Raises:
            NodeError: a call failed; the calls behind it were made all the same.
        """
        results = self.attempt(calls)
        for result in results:
            if isinstance(result, NodeError):
                raise result
        return results

    def attempt(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[Any | NodeError]:
        """As `batch`, but a failed call has its error in place of a result."""
        if not calls:
            return []
        answers = self._post(
            [
                {"jsonrpc": "2.0", "id": position, "method": method, "params": params}
                for position, (method, params) in enumerate(calls)
            ]
        )
        by_id = {answer["id"]: answer for answer in answers}
        return [
            NodeError(method, by_id[position]["error"]["code"], by_id[position]["error"]["message"])
            if "error" in by_id[position]
            else by_id[position]["result"]
            for position, (method, _) in enumerate(calls)
        ]

    def close(self) -> None:
        """Close the connection. A later call opens another."""
        self._pool.close()

    def _post(self, body: object) -> Any:
        try:
            answer = self._pool.request(
                "POST", "/", body=msgspec.json.encode(body), headers={"content-type": "application/json"}
            )
        except urllib3.exceptions.HTTPError as error:
            raise NodeUnreachableError(f"no node answers at {self.url}: {error}") from error
        return msgspec.json.decode(answer.data)

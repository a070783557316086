"""Terms: on which strangers may ask. Without any, whoever reaches the API may ask as much as it can answer."""

import re
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final

from deepnode_ledger.errors import BadInput

ANY_ORIGIN: Final = "*"

_ORIGIN: Final = re.compile(r"https?://[a-z0-9.\-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?")


@dataclass(frozen=True)
class Terms:
    """What is allowed to whom.

    Args:
        request_rate: requests a second of one client; 0 for no limit.
        value_rate: values a second that one client's queries may ask for, as the limits count them; 0 for no limit.
        proxies: networks (``10.0.0.0/8``, ``::1``) whose ``X-Forwarded-For`` says who the client is.
        origins: where web pages may be from that read answers (``https://explorer.example``), or ``*``.
        documents: a folder of ``*.graphql`` files, or a JSON object of documents by their ids.
        documents_only: whether only those documents are answered.

    Raises:
        BadInput: a rate is below 0, or a network or an origin is none, or there are no documents to be the only ones.
    """

    request_rate: int = 0
    value_rate: int = 0
    proxies: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    documents: Path | None = None
    documents_only: bool = False

    def __post_init__(self) -> None:
        if min(self.request_rate, self.value_rate) < 0:
            raise BadInput(f"a rate must be 0 or more, not {min(self.request_rate, self.value_rate)}")
        for origin in self.origins:
            if origin != ANY_ORIGIN and not _ORIGIN.fullmatch(origin):
                raise BadInput(f"an origin is like https://explorer.example or *, not {origin!r:.80}")
        if self.documents_only and self.documents is None:
            raise BadInput("documents_only needs documents: without any, nothing could be asked")
        assert self.networks is not None

    @cached_property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The trusted proxies' networks."""
        try:
            return tuple(ip_network(each) for each in self.proxies)
        except ValueError as error:
            raise BadInput(f"a trusted proxy is an address or a network: {error}") from error

    def allows_origin(self, origin: str) -> bool:
        """Say whether pages of an origin may read answers."""
        return ANY_ORIGIN in self.origins or origin in self.origins


NO_TERMS: Final = Terms()

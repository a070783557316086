"""The figures of live updates, for the metrics: how many follow now, what they were sent, and why they left."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class LiveFigures:
    """Changed on the event loop alone.

    ``connections`` and ``subscriptions`` are those of now; ``messages`` and ``retractions`` were sent since the start;
    ``ended`` counts connections by (transport, reason).
    """

    connections: Counter[str] = field(default_factory=Counter)
    subscriptions: int = 0
    messages: int = 0
    retractions: int = 0
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        """Write the figures in Prometheus' text format."""
        lines = [
            "# HELP deepnode_live_connections Connections that live updates go out on.\n",
            "# TYPE deepnode_live_connections gauge\n",
            *(
                f'deepnode_live_connections{{transport="{transport}"}} {self.connections[transport]}\n'
                for transport in ("websocket", "sse")
            ),
        ]
        for name, kind, text, figure in (
            ("subscriptions", "gauge", "Subscriptions that are followed.", self.subscriptions),
            ("messages_total", "counter", "Messages that were sent to subscribers.", self.messages),
            ("retractions_total", "counter", "Those of them that took something back.", self.retractions),
        ):
            lines += [
                f"# HELP deepnode_live_{name} {text}\n",
                f"# TYPE deepnode_live_{name} {kind}\n",
                f"deepnode_live_{name} {figure}\n",
            ]
        lines += [
            "# HELP deepnode_live_ended_total Connections that ended, by transport and by why.\n",
            "# TYPE deepnode_live_ended_total counter\n",
        ]
        lines += [
            f'deepnode_live_ended_total{{transport="{transport}",reason="{reason}"}} {count}\n'
            for (transport, reason), count in sorted(self.ended.items())
        ]
        return lines

"""A subscription to a recorder that polls, and so never waits for what has already come.

The library's own listens for NOTIFY and looks at the table only when it hears one. What is written between its first
look and its LISTEN is told to nobody: then a reader waits for ever, or until the next event. It also keeps up to five
thousand events in memory, of which each may be a batch of megabytes.
"""

import threading
from collections.abc import Sequence
from typing import Final

from eventsourcing.persistence import ApplicationRecorder, Notification, Subscription
from typing_extensions import override

POLL_SECONDS: Final = 0.25
"""How long a follower sleeps when there is nothing new and no notification comes."""


class PolledSubscription(Subscription[ApplicationRecorder]):
    """The events of a recorder behind a notification id, in order, one in memory at a time."""

    def __init__(self, recorder: ApplicationRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._stopped = threading.Event()

    @override
    def stop(self) -> None:
        super().stop()
        self._stopped.set()

    @override
    def __next__(self) -> Notification:
        while not self._stopped.is_set():
            found = self._recorder.select_notifications(
                start=self._last_notification_id, limit=1, topics=self._topics, inclusive_of_start=False
            )
            if found:
                self._last_notification_id = found[0].id
                return found[0]
            self._stopped.wait(POLL_SECONDS)
        raise StopIteration

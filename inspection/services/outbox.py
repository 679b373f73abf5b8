"""Messages that are written in the transaction of what they tell, and sent after it.

A message to the broker only rings a bell: the rows of the jobs are the queue. So a message that
is sent twice, late or never costs time and nothing else.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.utils import timezone

from inspection.models import Line, Outbox

if TYPE_CHECKING:
    from celery import Celery

SCORE: Final = "score"
TRAIN: Final = "train"
LINE: Final = "line"
# Topic -> task and queue. The payload holds the task's keyword arguments: ids of rows.
BELLS: Final[dict[str, tuple[str, str]]] = {
    SCORE: ("inspection.tasks.score_job", "scoring"),
    TRAIN: ("training.tasks.train_run", "training"),
}
BATCH: Final = 200
# A broker on this host or in this plant answers at once; one that does not is away.
CONNECT_TIMEOUT_S: Final = 1.0
ANSWER_TIMEOUT_S: Final = 2.0


def outbox_add(topic: str, payload: dict[str, Any], line: Line | None = None) -> Outbox:
    """Write a message in the caller's transaction."""
    # What a line reads by cursor needs no sending; marking it keeps the index of unsent rows small.
    sent_at = timezone.now() if topic == LINE else None
    return Outbox.objects.create(topic=topic, payload=payload, line=line, sent_at=sent_at)


class Bell:
    """A connection to the broker that gives up early, opened at the first ring."""

    def __init__(self, app: "Celery | None" = None) -> None:
        if app is None:
            from config.celery import app as configured

            app = configured
        self._app = app
        self._connection: Any = None
        self._producer: Any = None

    def ring(self, topic: str, payload: dict[str, Any]) -> None:
        """Send one message.

        Raises:
            OSError: Or another of the transport's errors: the broker is away, silent or full.
        """
        task, queue = BELLS[topic]
        if self._producer is None:
            self._open()
        try:
            self._app.send_task(
                task, kwargs=payload, queue=queue, producer=self._producer, retry=False
            )
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection; the next ring opens another one."""
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            connection.collapse() if hasattr(connection, "collapse") else connection.release()

    def _open(self) -> None:
        options = {
            **self._app.conf.broker_transport_options,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "socket_timeout": ANSWER_TIMEOUT_S,
            "max_retries": 0,
        }
        self._connection = self._app.connection_for_write(transport_options=options)
        try:
            self._connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
            self._producer = self._app.amqp.Producer(self._connection, auto_declare=False)
        except Exception:
            self.close()
            raise


def relay_once(bell: Bell | None = None) -> int:
    """Send what waits, oldest first, and return how many messages left.

    Without a broker there is no bell to ring: the messages are only marked, workers poll.

    Raises:
        OSError: Or another of the transport's errors; what was sent before it is marked.
    """
    waiting = list(
        Outbox.objects.filter(sent_at__isnull=True, topic__in=BELLS).order_by("id")[:BATCH]
    )
    if not waiting:
        return 0
    if not settings.BROKER_URL:
        _mark_sent(row.pk for row in waiting)
        return len(waiting)
    bell = bell or Bell()
    sent: list[int] = []
    try:
        for row in waiting:
            bell.ring(row.topic, row.payload)
            sent.append(row.pk)
    finally:
        # A kill before this line sends them again: a second ring changes nothing.
        _mark_sent(sent)
    return len(sent)


def _mark_sent(ids: Iterable[int]) -> None:
    ids = list(ids)
    if ids:
        Outbox.objects.filter(pk__in=ids, sent_at__isnull=True).update(sent_at=timezone.now())

"""The relay's loop: rings the bells that requests wrote down, and looks for what was lost.

It never ends by itself: with the broker away it goes on sweeping and tries the broker again.
"""

import logging
import time
from threading import Event
from typing import Final

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from inspection.services import beats, jobs, routing
from inspection.services.outbox import SCORE, Bell, relay_once

logger = logging.getLogger("secondlook.relay")

POLL_S: Final = 0.05  # one look at an index that is empty most of the time: 0.3 ms
SWEEP_EVERY_S: Final = 2.0
BACK_OFF_S: Final = (0.25, 8.0)  # first and longest wait for a broker that is away
# The same job is rung for again after 5, 10, 20, ... s, so that a day without workers does not
# fill the broker; a worker that starts looks at the rows anyway.
RING_AGAIN_MAX_S: Final = 300.0


class Relay:
    """What one relay process remembers between its turns; losing it costs nothing."""

    def __init__(self, bell: Bell | None = None) -> None:
        self.bell = bell or Bell()
        self.name = beats.process_name("relay")
        self.sent = 0
        self.broker_away = False
        self._not_before = 0.0  # monotonic clock, as all times here
        self._back_off_s = BACK_OFF_S[0]
        self._sweep_at = 0.0
        self._rung: dict[int, tuple[float, float]] = {}  # job id: ring again at, wait after that

    def run(self, stop: Event) -> None:
        """Take turns until told to stop."""
        while not stop.is_set():
            busy = self.turn(time.monotonic())
            if not busy:
                stop.wait(POLL_S)
        beats.beat_end(self.name)
        self.bell.close()

    def turn(self, now_s: float) -> bool:
        """Send what waits and sweep when it is time; return whether there may be more to send."""
        sent = 0
        try:
            sent = self._send(now_s)
            if now_s >= self._sweep_at:
                self._sweep_at = now_s + SWEEP_EVERY_S
                self.sweep(now_s)
        except Exception:  # the database is away or busy: say it, wait, go on
            logger.exception("relay: the database did not answer")
            close_old_connections()
            self._sweep_at = self._not_before = now_s + 1.0
        return sent > 0

    def sweep(self, now_s: float) -> None:
        """Look for jobs and parts that nobody would come back to, and show a sign of life."""
        swept = jobs.jobs_sweep()
        if swept.requeued or swept.failed:
            logger.warning("sweep: put back %s, gave up %s", swept.requeued, swept.failed)
        routing.parts_route_overdue()
        self._ring_again([*swept.requeued, *swept.unheard], now_s)
        note = "broker away" if self.broker_away else f"{self.sent} sent"
        beats.beat(self.name, "relay", note)

    def _send(self, now_s: float) -> int:
        if now_s < self._not_before:
            return 0
        try:
            sent = relay_once(self.bell)
        except DatabaseError:  # not the broker's fault: the turn waits for the database
            raise
        except Exception as error:
            self._broker_lost(error, now_s)
            return 0
        if sent:
            self.sent += sent
            self._broker_back()
        return sent

    def _ring_again(self, unheard: list[int], now_s: float) -> None:
        if not settings.BROKER_URL or now_s < self._not_before:
            return
        self._rung = {pk: self._rung[pk] for pk in unheard if pk in self._rung}
        for pk in unheard:
            again_at, wait_s = self._rung.get(pk, (0.0, jobs.RING_AGAIN_AFTER_S))
            if now_s < again_at:
                continue
            try:
                self.bell.ring(SCORE, {"job_id": pk})
            except Exception as error:
                self._broker_lost(error, now_s)
                return
            self._broker_back()
            self._rung[pk] = (now_s + wait_s, min(2 * wait_s, RING_AGAIN_MAX_S))

    def _broker_lost(self, error: Exception, now_s: float) -> None:
        if not self.broker_away:
            logger.warning("relay: the broker is away (%s); jobs wait in their rows", error)
        self.broker_away = True
        # The clock again: finding out took its time.
        self._not_before = max(now_s, time.monotonic()) + self._back_off_s
        self._back_off_s = min(2 * self._back_off_s, BACK_OFF_S[1])

    def _broker_back(self) -> None:
        if self.broker_away:
            logger.warning("relay: the broker is back")
        self.broker_away = False
        self._back_off_s = BACK_OFF_S[0]

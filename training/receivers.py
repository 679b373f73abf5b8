"""What training does in the transactions of review, and its place in the worker command."""

import time
from typing import Final

from inspection import hooks as lower_hooks
from inspection.services.queues import Queue, queue_register
from review import hooks
from training.selectors.pools import known_normals
from training.services.pools import pool_follow_decision

TICK_EVERY_S: Final = 20.0


class TrainingQueue:
    """The training queue as a worker process serves it."""

    def __init__(self) -> None:
        self._tick_at = 0.0  # monotonic clock

    def work_one(self, waited_s: float) -> bool:
        """Carry out one run that waited so long; tick now and then.

        The tick is the scheduler's business; here it makes an installation without a broker,
        or with a scheduler that died, retrain all the same. Twice is once: see ``schedule``.
        """
        from training.services.execution import run_execute
        from training.services.schedule import schedule_tick

        now = time.monotonic()
        if now >= self._tick_at:
            self._tick_at = now + TICK_EVERY_S
            schedule_tick()
        return run_execute(waited_s=waited_s) is not None


def register() -> None:
    """A decision moves its images through the pools; a worker may serve the training queue."""
    hooks.decision_recorded.register(pool_follow_decision)
    lower_hooks.known_normals.answer_with(known_normals)
    # Its runs have a watchdog of their own, so the worker sets no limit.
    queue_register(Queue(name="training", work_one=TrainingQueue().work_one))

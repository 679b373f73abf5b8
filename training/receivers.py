"""What training does in the transactions of review, and its place in the worker command."""

from inspection.services.queues import Queue, queue_register
from review import hooks
from training.services.pools import pool_follow_decision


def register() -> None:
    """A decision moves its images through the pools; a worker may serve the training queue."""
    hooks.decision_recorded.register(pool_follow_decision)
    # Its runs have a watchdog of their own, so the worker sets no limit.
    queue_register(Queue(name="training", work_one=_work_one))


def _work_one(waited_s: float) -> bool:
    from training.services.execution import run_execute

    return run_execute(waited_s=waited_s) is not None

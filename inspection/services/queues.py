"""Which queues there are and how one piece of their work is done: the lower app's side of it.

Scoring is registered here; training registers its own in ``AppConfig.ready``, so that one worker
command serves both without inspection importing a higher app.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

# Set when the process is asked to end: long work looks at it and lets go of its lease.
stop_requested = Event()


@dataclass(frozen=True, slots=True)
class Queue:
    """A named queue of rows.

    Attributes:
        name: "scoring", "training": also the name of the broker's queue.
        work_one: Claims and does one piece of work that has waited at least so many seconds,
            and returns whether there was one.
        prepare: Called once before the first piece of work.
        limit_s: A piece of work that takes longer is stuck, and so is its process; None: the
            work has a watchdog of its own.
    """

    name: str
    work_one: Callable[[float], bool]
    prepare: Callable[[], None] | None = field(default=None)
    limit_s: float | None = field(default=None)


_queues: dict[str, Queue] = {}


def queue_register(queue: Queue) -> None:
    """Add a queue; registering the same name again replaces it."""
    _queues[queue.name] = queue


def queue_named(name: str) -> Queue:
    """Return a registered queue.

    Raises:
        KeyError: There is none of that name.
    """
    return _queues[name]

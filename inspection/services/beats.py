"""Signs of life of the processes behind the pages."""

import os
import socket
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone

from inspection.models import WorkerBeat

# Processes that ended without saying so are forgotten once another of their kind has started.
FORGET_AFTER: Final = timedelta(hours=1)


def process_name(kind: str) -> str:
    """Return this process' name among all processes of all hosts: "scoring plant-pc 4711"."""
    return f"{kind} {socket.gethostname()[:60]} {os.getpid()}"


def beat(name: str, kind: str, note: str = "") -> None:
    """Record that the process named so got something done, or had nothing to do."""
    now = timezone.now()
    changed = WorkerBeat.objects.filter(name=name).update(seen_at=now, note=note[:200])
    if changed:
        return
    version = str(getattr(settings, "CODE_VERSION", ""))
    WorkerBeat.objects.update_or_create(
        name=name,
        defaults={
            "kind": kind, "note": note[:200], "code_version": version[:40],
            "started_at": now, "seen_at": now,
        },
    )  # fmt: skip
    WorkerBeat.objects.filter(kind=kind, seen_at__lt=now - FORGET_AFTER).delete()


def beat_end(name: str) -> None:
    """Forget a process that ends on purpose: only the missing ones are worth a warning."""
    WorkerBeat.objects.filter(name=name).delete()

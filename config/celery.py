"""The Celery application: a doorbell, not the queue of record.

A task carries the id of a row. Workers use the solo pool: a pool that forks after torch was
imported can deadlock. Beat only ticks; what is due is decided from rows.
"""

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("secondlook")
app.conf.update(
    broker_url=settings.BROKER_URL or "memory://",
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    worker_pool="solo",
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_connection_timeout=2,
    # Longer than any run: a short visibility timeout runs a long task twice. Recovery is by lease.
    broker_transport_options={"visibility_timeout": 24 * 3600, "socket_timeout": 5},
    task_default_queue="scoring",
    task_routes={"training.*": {"queue": "training"}},
    timezone="UTC",
    beat_schedule={
        # A tick that waits behind a long run is worth nothing: the next one sees the same rows.
        "tick": {
            "task": "training.tasks.schedule_tick",
            "schedule": 20.0,
            "options": {"expires": 20},
        },
    },
)
app.autodiscover_tasks()

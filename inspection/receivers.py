"""Start-up wiring of inspection: the lowest app listens to nobody, it only checks its settings."""

from django.core.checks import register as register_check

from inspection import checks


def register() -> None:
    """Register the system checks and the queue of scoring."""
    from inspection.services import jobs

    register_check(checks.folders_are_writable)
    jobs.register()

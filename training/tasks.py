"""Bells of training: a task carries an id and calls one service."""

from celery import shared_task


@shared_task(name="training.tasks.train_run")
def train_run(run_id: int) -> None:
    """Carry out one run; one that is not waiting any more is left alone."""
    from training.services.execution import run_execute

    run_execute(run_id)


@shared_task(name="training.tasks.schedule_tick")
def schedule_tick() -> None:
    """Make due runs, release quarantine, recover lost runs."""
    from training.services.schedule import schedule_tick as tick

    tick()

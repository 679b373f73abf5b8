"""Celery tasks of inspection: thin; the rows are the queue, a task only names one."""

from celery import shared_task

from inspection.services.jobs import job_claim, job_run


@shared_task(name="inspection.tasks.score_job")
def score_job(job_id: int) -> None:
    """Score one image, unless somebody has, or is at it."""
    job = job_claim(job_id=job_id)
    if job is not None:
        job_run(job)

"""Celery tasks of inspection: thin; the rows are the queue, a task only names one."""

from celery import shared_task

from inspection.services.jobs import job_claim, job_run


@shared_task(name="inspection.tasks.score_job")
def score_job(job_id: int) -> bool:
    """Score one image, unless somebody has, or is at it; return whether there was work."""
    job = job_claim(job_id=job_id)
    if job is None:
        return False
    job_run(job)
    return True

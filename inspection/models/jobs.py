"""Work to do: scoring jobs (the queue of record), messages to send, proof that workers live."""

from django.db import models


class ScoringJob(models.Model):
    """One image to score for one purpose.

    queued --claim (conditional UPDATE of exactly one row)--> running --> done
    running --lease ran out--> queued again (attempts + 1), failed after 3
    queued --no model serves--> collected
    """

    class Purpose(models.TextChoices):
        LIVE = "live", "live"
        SHADOW = "shadow", "shadow"
        REPLAY = "replay", "replay"

    class State(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        COLLECTED = "collected", "collected"

    image = models.ForeignKey("inspection.Image", on_delete=models.CASCADE, related_name="jobs")
    # Empty for live jobs until claimed: the version that serves at that moment.
    model_version = models.ForeignKey(
        "inspection.ModelVersion", on_delete=models.PROTECT, null=True, related_name="+"
    )
    purpose = models.CharField(max_length=8, choices=Purpose.choices, default=Purpose.LIVE)
    state = models.CharField(max_length=16, choices=State.choices, default=State.QUEUED)
    lease_token = models.CharField(max_length=36, blank=True)  # who holds it; new at each claim
    lease_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    reason = models.CharField(max_length=300, blank=True)
    queued_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["image"], condition=models.Q(purpose="live"), name="one_live_job_per_image"
            ),
            models.UniqueConstraint(
                fields=["image", "model_version", "purpose"],
                condition=~models.Q(purpose="live"),
                name="one_job_per_image_version_purpose",
            ),
        ]
        indexes = [models.Index(fields=["state", "queued_at"])]


class Outbox(models.Model):
    """A message written in the transaction of what it tells, sent after.

    Topics: ``score`` and ``train`` ring a worker's bell (the relay sends and marks them);
    ``line`` tells a line an outcome or its later change (read by the line with a cursor).
    """

    topic = models.CharField(max_length=16)
    line = models.ForeignKey("inspection.Line", on_delete=models.CASCADE, null=True)
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["id"], condition=models.Q(sent_at__isnull=True), name="outbox_unsent"
            ),
            models.Index(fields=["topic", "line", "id"]),
        ]


class WorkerBeat(models.Model):
    """The last sign of life of a process, by its name ("scoring 4711")."""

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=32)  # scoring, training, relay, watcher, scheduler
    code_version = models.CharField(max_length=40, blank=True)
    note = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

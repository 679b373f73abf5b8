"""Snapshots (what a run learns from, frozen) and runs."""

from django.db import models


class Snapshot(models.Model):
    """A frozen list of images and labels. The same list has the same fingerprint."""

    view = models.ForeignKey("inspection.View", on_delete=models.PROTECT, related_name="snapshots")
    fingerprint = models.CharField(max_length=64)
    image_count = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["view", "fingerprint"], name="snapshot_unique")
        ]


class SnapshotEntry(models.Model):
    """One image of a snapshot, by its hash, so that it outlives any later change."""

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="entries")
    image = models.ForeignKey("inspection.Image", on_delete=models.PROTECT, related_name="+")
    sha256 = models.CharField(max_length=64)
    group = models.CharField(max_length=160)  # lot, else day: calibration holds out whole groups
    may_calibrate = models.BooleanField(default=False)
    probability = models.FloatField(default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["snapshot", "image"], name="snapshot_entry_unique")
        ]
        ordering = ["id"]


class Run(models.Model):
    """One training: from a snapshot to a candidate model version.

    queued --claim--> running --> done (candidate) | failed(reason) | cancelled
    running --lease ran out--> queued (once), then failed
    """

    class State(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        DONE = "done", "candidate ready"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    class Trigger(models.TextChoices):
        BUTTON = "button", "by button"
        SCHEDULE = "schedule", "by schedule"
        COUNT = "count", "after enough new normals"
        SETUP = "setup", "first model"

    view = models.ForeignKey("inspection.View", on_delete=models.PROTECT, related_name="runs")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, null=True, related_name="runs")
    trigger = models.CharField(max_length=16, choices=Trigger.choices)
    # One slot per policy and period: two schedulers make one run.
    slot = models.CharField(max_length=120, null=True, unique=True)  # noqa: DJ001  null is "no slot"
    state = models.CharField(max_length=16, choices=State.choices, default=State.QUEUED)
    method = models.CharField(max_length=32, default="patchcore")
    config = models.JSONField(default=dict)
    seed = models.PositiveIntegerField(default=0)
    promote_when_done = models.BooleanField(default=False)  # only the very first model of a view
    lease_token = models.CharField(max_length=36, blank=True)
    lease_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    cancel_requested_at = models.DateTimeField(null=True)
    done_steps = models.PositiveIntegerField(default=0)
    total_steps = models.PositiveIntegerField(default=0)
    note = models.CharField(max_length=300, blank=True)
    log = models.TextField(blank=True)
    stage_seconds = models.JSONField(default=dict)
    peak_memory_mb = models.FloatField(null=True)
    model_version = models.OneToOneField(
        "inspection.ModelVersion", on_delete=models.PROTECT, null=True, related_name="run"
    )
    reason = models.CharField(max_length=500, blank=True)
    requested_by = models.ForeignKey(
        "inspection.Person", on_delete=models.PROTECT, null=True, related_name="+"
    )
    queued_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["state", "queued_at"]),
            models.Index(fields=["view", "-id"]),
        ]

"""What was seen: parts, their images, and the bytes."""

from django.db import models


class Blob(models.Model):
    """Bytes kept once, under their sha256. Where they lie is the blob store's business."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    size_bytes = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)


class Part(models.Model):
    """One physical thing, with one image per view and round.

    ``outcome`` is the machine's (empty until routed), ``verdict`` the last effective answer of a
    person (empty until given). A reworked part comes back as the next ``round``.

        images arrive -> routed: pass | review | reject | no verdict
                      -> collected (no model yet)
        review, reject, audited pass -> a person's verdict; hold and release at any time
    """

    class Verdict(models.TextChoices):
        NONE = "", "none yet"
        GOOD = "good", "good"
        DEFECT = "defect", "defect"
        UNSURE = "unsure", "unsure"
        RESHOOT = "reshoot", "reshoot"

    product = models.ForeignKey(
        "inspection.Product", on_delete=models.PROTECT, related_name="parts"
    )
    line = models.ForeignKey("inspection.Line", on_delete=models.PROTECT, related_name="parts")
    serial = models.CharField(max_length=120)
    lot = models.CharField(max_length=120, blank=True)
    tags = models.JSONField(default=dict, blank=True)
    round = models.PositiveSmallIntegerField(default=1)
    outcome = models.CharField(max_length=16, blank=True)
    verdict = models.CharField(max_length=16, choices=Verdict.choices, blank=True)
    verdict_at = models.DateTimeField(null=True, blank=True)
    held_at = models.DateTimeField(null=True, blank=True)
    held_by = models.ForeignKey(
        "inspection.Person", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    hold_reason = models.CharField(max_length=300, blank=True)
    disposition = models.CharField(max_length=16, blank=True)  # scrap, rework, concession
    first_seen_at = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["product", "serial"], name="part_serial_unique")
        ]
        indexes = [
            models.Index(fields=["line", "first_seen_at"]),
            models.Index(fields=["product", "first_seen_at"]),
            models.Index(fields=["product", "lot"]),
            models.Index(fields=["outcome", "first_seen_at"]),  # those not routed yet are few
        ]


class Image(models.Model):
    """One picture of a part.

    accepted -> scored | failed(reason) | collected (no model yet)
    collected -> scored (once a model serves and somebody asks for it)
    """

    class State(models.TextChoices):
        ACCEPTED = "accepted", "waiting for its score"
        SCORED = "scored", "scored"
        FAILED = "failed", "failed"
        COLLECTED = "collected", "collected, no model yet"

    class Channel(models.TextChoices):
        API = "api", "API"
        BROWSER = "browser", "browser"
        FOLDER = "folder", "watched folder"
        COMMAND = "command", "command"

    part = models.ForeignKey(Part, on_delete=models.PROTECT, related_name="images")
    round = models.PositiveSmallIntegerField(default=1)
    product = models.ForeignKey("inspection.Product", on_delete=models.PROTECT, related_name="+")
    view = models.ForeignKey("inspection.View", on_delete=models.PROTECT, related_name="images")
    station = models.ForeignKey(
        "inspection.Station", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+")  # as it came
    # An upright 8-bit copy, only where orientation, depth or palette needs one.
    derived = models.ForeignKey(Blob, on_delete=models.PROTECT, null=True, related_name="+")
    preview = models.ForeignKey(Blob, on_delete=models.PROTECT, null=True, related_name="+")
    thumbnail = models.ForeignKey(Blob, on_delete=models.PROTECT, null=True, related_name="+")
    content_type = models.CharField(max_length=32)
    width = models.PositiveIntegerField()  # upright
    height = models.PositiveIntegerField()
    capture_key = models.CharField(max_length=200, blank=True)
    file_name = models.CharField(max_length=255, blank=True)  # shown, never used as a path
    channel = models.CharField(max_length=16, choices=Channel.choices)
    captured_at = models.DateTimeField()
    received_at = models.DateTimeField(db_index=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.ACCEPTED)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["station", "capture_key"],
                condition=models.Q(station__isnull=False) & ~models.Q(capture_key=""),
                name="image_unique_by_station_and_key",
            ),
            models.UniqueConstraint(
                fields=["product", "capture_key"],
                condition=models.Q(station__isnull=True) & ~models.Q(capture_key=""),
                name="image_unique_by_product_and_key",
            ),
            models.UniqueConstraint(
                fields=["product", "blob"],
                condition=models.Q(capture_key=""),
                name="image_unique_by_product_and_bytes",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "received_at"]),
            models.Index(fields=["view", "captured_at"]),
            models.Index(fields=["blob", "product"]),
        ]


class LateOutcome(models.Model):
    """What was learnt about a part later: a stress test, a customer return."""

    part = models.ForeignKey(Part, on_delete=models.CASCADE, related_name="late_outcomes")
    source = models.CharField(max_length=100)
    happened_on = models.DateField()
    is_defect = models.BooleanField()
    note = models.TextField(blank=True)
    recorded_by = models.ForeignKey("inspection.Person", on_delete=models.PROTECT, null=True)
    recorded_at = models.DateTimeField(auto_now_add=True)

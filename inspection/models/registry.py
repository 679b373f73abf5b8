"""The model registry: fitted versions per view, and which of them serves."""

from django.db import models


class ModelVersion(models.Model):
    """A fitted detector with its calibration and metrics; immutable once written.

    Holds no thresholds of a policy. ``pixel_threshold`` rules heat, contour, regions and masks.
    The artefact's parts lie in the blob store under the sha256 that ``manifest`` names.
    """

    view = models.ForeignKey("inspection.View", on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()  # 1, 2, 3 within the view: shown as v3
    method = models.CharField(max_length=32)
    manifest = models.JSONField()
    manifest_sha256 = models.CharField(max_length=64, unique=True)
    pixel_threshold = models.FloatField()
    heat_top = models.FloatField()  # grey value 255 of a map: one fixed scale per version
    calibration_kind = models.CharField(max_length=32)
    calibration_count = models.PositiveIntegerField()
    metrics = models.JSONField(default=dict)  # evaluation on the golden set, where there is one
    size_bytes = models.BigIntegerField(default=0)
    fit_seconds = models.FloatField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["view_id", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["view", "number"], name="version_number_unique")
        ]

    def __str__(self) -> str:
        return f"v{self.number}"


class Promotion(models.Model):
    """One committed row makes a version serve its view; the newest row counts.

    Rolling back is the same move to an older version. ``version`` empty: nothing serves.
    """

    view = models.ForeignKey("inspection.View", on_delete=models.PROTECT, related_name="promotions")
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="promotions")
    is_rollback = models.BooleanField(default=False)
    reason = models.CharField(max_length=300, blank=True)
    by = models.ForeignKey(
        "inspection.Person", on_delete=models.PROTECT, null=True, related_name="+"
    )
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["view", "-id"])]

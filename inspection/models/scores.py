"""What the model said of an image, and how healthy the image was."""

from django.db import models


class Score(models.Model):
    """Immutable: one per image and model version.

    ``value`` is raw (feature units), ``surprise`` calibrated in (0, 1]. ``heat`` is an 8-bit grey
    PNG of the map: grey 255 stands for the version's ``heat_top``.
    """

    image = models.ForeignKey("inspection.Image", on_delete=models.PROTECT, related_name="scores")
    model_version = models.ForeignKey(
        "inspection.ModelVersion", on_delete=models.PROTECT, related_name="scores"
    )
    value = models.FloatField()
    surprise = models.FloatField()
    heat = models.ForeignKey(
        "inspection.Blob", on_delete=models.PROTECT, null=True, related_name="+"
    )
    # [{"area_px", "box_xyxy", "peak", "mean", "peak_xy"}], hottest first
    regions = models.JSONField(default=list)
    explanation = models.JSONField(null=True)
    # float32, little endian, in the backbone's own space: outlives a retrain
    embedding = models.BinaryField(null=True)
    region_embedding = models.BinaryField(null=True)
    backbone = models.CharField(max_length=80, blank=True)
    milliseconds = models.FloatField(default=0)
    scored_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["image", "model_version"], name="one_score_per_image_and_version"
            )
        ]
        indexes = [models.Index(fields=["model_version", "scored_at"])]


class HealthSample(models.Model):
    """Brightness, contrast, sharpness and shift of an image, measured before scoring."""

    image = models.OneToOneField(
        "inspection.Image", on_delete=models.CASCADE, related_name="health"
    )
    brightness = models.FloatField()
    contrast = models.FloatField()
    sharpness = models.FloatField()
    shift_px = models.FloatField(null=True)
    is_healthy = models.BooleanField(default=True)
    reasons = models.JSONField(default=list)

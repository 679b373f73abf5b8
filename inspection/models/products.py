"""What is inspected: product, its views, its defect types."""

from django.db import models


class Product(models.Model):
    """A kind of part. The costs and wishes of its set-up form live in its policy."""

    class Aim(models.TextChoices):
        FLAG = "flag", "flag parts only"
        LOCALISE = "localise", "flag parts and show where"

    class Imaging(models.TextChoices):
        CONTROLLED = "controlled", "controlled: fixed camera and light"
        VARIABLE = "variable", "variable: light or position change"

    name = models.CharField(max_length=100, unique=True)
    line = models.ForeignKey("inspection.Line", on_delete=models.PROTECT, related_name="products")
    aim = models.CharField(max_length=16, choices=Aim.choices, default=Aim.LOCALISE)
    imaging = models.CharField(max_length=16, choices=Imaging.choices, default=Imaging.CONTROLLED)
    normals_expected = models.PositiveIntegerField(default=0)
    defects_expected = models.PositiveIntegerField(default=0)
    images_per_minute = models.FloatField(default=60)
    latency_allowed_s = models.FloatField(default=5)
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class View(models.Model):
    """One camera position on a product: banks, calibration and pixel scale belong to it."""

    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="views")
    name = models.CharField(max_length=100, default="face")
    station = models.ForeignKey(
        "inspection.Station", on_delete=models.SET_NULL, null=True, blank=True, related_name="views"
    )
    rank = models.PositiveSmallIntegerField(default=0)  # the first view is shown first
    mm_per_pixel = models.FloatField(null=True, blank=True)
    # Box x0, y0, x1, y1 as shares of width and height, each 0 to 1; empty: the whole picture.
    region_of_interest = models.JSONField(null=True, blank=True)
    any_angle = models.BooleanField(default=False)  # parts lie turned: no position check
    reference_image = models.ForeignKey(
        "inspection.Image", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # Learnt by the first fit: see detection.health.HealthReference.to_json.
    health_reference = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ["product__name", "rank", "name"]
        constraints = [
            models.UniqueConstraint(fields=["product", "name"], name="view_name_unique_in_product")
        ]

    def __str__(self) -> str:
        return f"{self.product.name}, {self.name}"


class DefectType(models.Model):
    """A named kind of defect of a product, with its product-agnostic family and own miss cost."""

    class Family(models.TextChoices):
        STRUCTURAL = "structural", "structural"
        SURFACE = "surface", "surface"
        CONTAMINATION = "contamination", "contamination"
        COMBINED = "combined", "combined"

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="defect_types")
    name = models.CharField(max_length=60)
    family = models.CharField(max_length=16, choices=Family.choices, default=Family.SURFACE)
    definition = models.TextField(blank=True)
    severity = models.PositiveSmallIntegerField(default=2)  # 1 cosmetic .. 3 safety
    miss_cost = models.FloatField(null=True, blank=True)  # site currency; empty: the policy's
    key = models.PositiveSmallIntegerField(null=True, blank=True)  # the digit that answers it

    class Meta:
        ordering = ["key", "name"]
        constraints = [
            models.UniqueConstraint(fields=["product", "name"], name="defect_type_unique")
        ]

    def __str__(self) -> str:
        return self.name

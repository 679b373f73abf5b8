"""Which images the next model may learn from, and which it is judged by."""

from django.db import models


class Attestation(models.Model):
    """A person's word for a batch of imported normals: who, why, how many."""

    person = models.ForeignKey("inspection.Person", on_delete=models.PROTECT, related_name="+")
    view = models.ForeignKey("inspection.View", on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300)
    count = models.PositiveIntegerField()
    at = models.DateTimeField()


class PoolEntry(models.Model):
    """An image's place in the pools. One per image.

        confirmed good    -> quarantined --24 h, not disputed--> verified --a run--> used
        confirmed defect  -> defect library
        undone, disputed  -> withdrawn
        attested import   -> verified

    ``may_calibrate`` is true only for normals chosen without regard to their score (set-up
    shoot, answered audits): a confirmed flag never calibrates.
    """

    class State(models.TextChoices):
        QUARANTINED = "quarantined", "quarantined"
        VERIFIED = "verified", "verified normal"
        USED = "used", "used in a model"
        DEFECT = "defect", "defect library"
        WITHDRAWN = "withdrawn", "withdrawn"

    image = models.OneToOneField(
        "inspection.Image", on_delete=models.PROTECT, related_name="pool_entry"
    )
    view = models.ForeignKey("inspection.View", on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=16, choices=State.choices)
    decision = models.ForeignKey(
        "review.Decision", on_delete=models.PROTECT, null=True, related_name="+"
    )
    attestation = models.ForeignKey(
        Attestation, on_delete=models.PROTECT, null=True, related_name="entries"
    )
    added_by = models.ForeignKey(
        "inspection.Person", on_delete=models.PROTECT, null=True, related_name="+"
    )
    why = models.CharField(max_length=300, blank=True)
    may_calibrate = models.BooleanField(default=False)
    selection_probability = models.FloatField(default=1)
    quarantine_until = models.DateTimeField(null=True)
    changed_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["view", "state"])]


class GoldenEntry(models.Model):
    """A frozen image of known truth: judges every candidate, never trained on."""

    image = models.OneToOneField(
        "inspection.Image", on_delete=models.PROTECT, related_name="golden_entry"
    )
    view = models.ForeignKey("inspection.View", on_delete=models.PROTECT, related_name="+")
    is_defect = models.BooleanField()
    defect_type = models.ForeignKey(
        "inspection.DefectType", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    mask = models.ForeignKey(
        "inspection.Blob", on_delete=models.PROTECT, null=True, related_name="+"
    )
    added_by = models.ForeignKey("inspection.Person", on_delete=models.PROTECT, null=True)
    added_at = models.DateTimeField()

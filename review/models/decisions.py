"""What people said, and what they had looked at before they said it."""

from django.db import models


class Look(models.Model):
    """Somebody opened what the model says of an item before answering."""

    item = models.ForeignKey("review.ReviewItem", on_delete=models.CASCADE, related_name="looks")
    person = models.ForeignKey("inspection.Person", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "person"], name="one_look_per_item_and_person")
        ]


class Decision(models.Model):
    """An answer, or the undoing of one. Append-only: nothing here is ever changed.

    ``supersedes`` points at what this record takes the place of. ``key`` is made by the client:
    the same key again is the same decision, not a second one.
    """

    class Verdict(models.TextChoices):
        DEFECT = "defect", "defect: the flag is confirmed"
        GOOD = "good", "good: the flag is rejected"
        UNSURE = "unsure", "unsure"
        RESHOOT = "reshoot", "reshoot"
        UNDONE = "undone", "undone"

    item = models.ForeignKey(
        "review.ReviewItem", on_delete=models.PROTECT, related_name="decisions"
    )
    person = models.ForeignKey("inspection.Person", on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=16, choices=Verdict.choices)
    defect_types = models.ManyToManyField("inspection.DefectType", related_name="+", blank=True)
    note = models.TextField(blank=True)
    regions = models.JSONField(default=list, blank=True)  # corrected by the person
    terminal = models.CharField(max_length=100, blank=True)
    seconds = models.FloatField(default=0)  # from the picture on screen to the key
    looked_before = models.BooleanField(default=False)
    key = models.CharField(max_length=64)
    supersedes = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, related_name="superseded_by"
    )
    at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "key"], name="one_decision_per_key")
        ]
        indexes = [models.Index(fields=["person", "at"])]

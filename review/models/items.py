"""What waits for a person."""

from django.db import models


class ReviewItem(models.Model):
    """One part to look at, for one reason.

        waiting --lease--> in use by one person --decision--> answered
        in use --lease ran out, left, deferred--> waiting
        answered --undo--> in use by the same person
        audit looked at before the answer, unsure, reshoot -> answered, and a new blind item waits

    ``priority`` is all that a person who can decide is told before the first look. Audits and
    second opinions draw theirs from the spread of the flagged ones.
    """

    class Reason(models.TextChoices):
        FLAGGED = "flagged", "flagged"
        AUDIT = "audit", "audit"
        SEEDED = "seeded", "seeded"
        SECOND_OPINION = "second opinion", "second opinion"

    class Priority(models.IntegerChoices):
        LOOK_FIRST = 1, "look first"
        SOON = 2, "soon"
        CAN_WAIT = 3, "can wait"

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        ANSWERED = "answered", "answered"
        WITHDRAWN = "withdrawn", "withdrawn"

    part = models.ForeignKey(
        "inspection.Part", on_delete=models.PROTECT, related_name="review_items"
    )
    routing = models.ForeignKey(
        "inspection.Routing", on_delete=models.PROTECT, related_name="review_items"
    )
    product = models.ForeignKey("inspection.Product", on_delete=models.PROTECT, related_name="+")
    line = models.ForeignKey("inspection.Line", on_delete=models.PROTECT, related_name="+")
    station = models.ForeignKey(
        "inspection.Station", on_delete=models.PROTECT, null=True, related_name="+"
    )
    reason = models.CharField(max_length=16, choices=Reason.choices)
    round = models.PositiveSmallIntegerField(default=1)
    priority = models.PositiveSmallIntegerField(choices=Priority.choices)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    leased_by = models.ForeignKey(
        "inspection.Person", on_delete=models.PROTECT, null=True, related_name="+"
    )
    lease_until = models.DateTimeField(null=True)
    deferred_count = models.PositiveSmallIntegerField(default=0)
    deferred_at = models.DateTimeField(null=True)
    # Who may not get it: those who already saw this part's answer open (a blind repeat).
    not_for = models.ManyToManyField("inspection.Person", related_name="+", blank=True)
    is_blind = models.BooleanField(default=True)
    decision = models.ForeignKey(
        "review.Decision", on_delete=models.PROTECT, null=True, related_name="+"
    )
    waiting_since = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["routing", "reason", "round"], name="one_item_per_routing_reason_round"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="answered") | models.Q(decision__isnull=False),
                name="answered_item_has_its_decision",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "priority", "waiting_since"]),
            models.Index(fields=["line", "state"]),
        ]

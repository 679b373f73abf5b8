"""The written rules of a product, and what they made of a part."""

from django.db import models


class Outcome(models.TextChoices):
    """What the machine routed a part to. A flag is review or reject."""

    PASS = "pass", "pass"
    REVIEW = "review", "review"
    REJECT = "reject", "reject"
    NO_VERDICT = "no verdict", "no verdict"


class Policy(models.Model):
    """Costs, audit plan and retrain rules of a product; versioned, never overwritten.

    The highest version of a product is in force.
    """

    product = models.ForeignKey(
        "inspection.Product", on_delete=models.PROTECT, related_name="policies"
    )
    version = models.PositiveIntegerField()
    miss_cost = models.FloatField(default=100)  # site currency
    false_alarm_cost = models.FloatField(default=5)
    review_minute_cost = models.FloatField(default=0.7)
    audit_rate = models.FloatField(default=0.02)  # share of passed parts a person looks at
    rejected_review_rate = models.FloatField(default=1.0)  # share of rejected parts reviewed
    overlay_first = models.BooleanField(default=False)  # heat at once; its audits are not blind
    # Retraining by itself, ending as a candidate. Site time; empty: never.
    retrain_at = models.TimeField(null=True, blank=True)
    retrain_after_normals = models.PositiveIntegerField(null=True, blank=True)
    created_by = models.ForeignKey("inspection.Person", on_delete=models.PROTECT, null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["product", "version"], name="policy_version_unique"),
            models.CheckConstraint(
                condition=models.Q(audit_rate__gte=0, audit_rate__lte=1),
                name="policy_audit_rate_is_a_share",
            ),
        ]
        ordering = ["product_id", "-version"]


class PolicyThreshold(models.Model):
    """The two thresholds of a policy for one view and the model version they were found for.

    Raw score units. ``reject_from`` empty: nothing is rejected by machine. ``is_promised`` says
    whether the normals were enough to bound false alarms at ``false_alarm_level``.
    """

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="thresholds")
    view = models.ForeignKey("inspection.View", on_delete=models.PROTECT, related_name="+")
    model_version = models.ForeignKey(
        "inspection.ModelVersion", on_delete=models.PROTECT, related_name="+"
    )
    review_from = models.FloatField()
    reject_from = models.FloatField(null=True, blank=True)
    false_alarm_level = models.FloatField(default=0.01)
    is_promised = models.BooleanField(default=False)
    basis = models.CharField(max_length=300, blank=True)  # in words, for pages

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "view", "model_version"], name="policy_threshold_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(reject_from__isnull=True)
                | models.Q(reject_from__gte=models.F("review_from")),
                name="reject_from_not_below_review_from",
            ),
        ]


class Routing(models.Model):
    """What the policy made of a part in one round: exactly one per part and round."""

    part = models.ForeignKey("inspection.Part", on_delete=models.PROTECT, related_name="routings")
    round = models.PositiveSmallIntegerField(default=1)
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, null=True, related_name="+")
    scores = models.ManyToManyField("inspection.Score", related_name="routings")
    worst_score = models.ForeignKey(
        "inspection.Score", on_delete=models.PROTECT, null=True, related_name="+"
    )
    outcome = models.CharField(max_length=16, choices=Outcome.choices)
    surprise_band = models.PositiveSmallIntegerField(null=True)  # 0 least odd .. 3 most
    is_audit = models.BooleanField(default=False)
    audit_probability = models.FloatField(null=True)
    # [{"code": "unhealthy", "message": "too dark: ..."}]
    reasons = models.JSONField(default=list)
    at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["part", "round"], name="one_routing_per_part_and_round")
        ]
        indexes = [models.Index(fields=["outcome", "at"])]

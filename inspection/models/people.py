"""Who may do what, which machine may talk to us, and the log of what was done."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class Person(AbstractUser):
    """Somebody who signs in. What they may do stands in their memberships.

    Demo people carry a password that everybody knows: they can sign in only in demo mode.
    """

    is_demo = models.BooleanField(default=False)

    @property
    def display_name(self) -> str:
        """The name shown on pages."""
        return self.get_full_name() or self.username

    @property
    def initials(self) -> str:
        """One or two letters for the round mark beside the name."""
        words = self.display_name.split()
        return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words))


class Role(models.TextChoices):
    """What a membership allows. Roles do not contain one another: give a person several."""

    OPERATOR = "operator", "operator"
    SUPERVISOR = "supervisor", "supervisor"
    ENGINEER = "engineer", "engineer"
    ADMIN = "admin", "administrator"


class Membership(models.Model):
    """A person's role on one line, or on every line when ``line`` is empty."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="memberships")
    line = models.ForeignKey(
        "inspection.Line", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    role = models.CharField(max_length=16, choices=Role.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["person", "line", "role"],
                condition=models.Q(line__isnull=False),
                name="membership_unique_on_line",
            ),
            models.UniqueConstraint(
                fields=["person", "role"],
                condition=models.Q(line__isnull=True),
                name="membership_unique_everywhere",
            ),
        ]


class DeviceToken(models.Model):
    """A camera's or line controller's key: hashed, scoped, bound to a line or station.

    Scopes: ``images:write`` (send images), ``line:read`` (outcomes of parts, line messages).
    """

    name = models.CharField(max_length=100)
    token_sha256 = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    line = models.ForeignKey("inspection.Line", on_delete=models.CASCADE, null=True, blank=True)
    station = models.ForeignKey(
        "inspection.Station", on_delete=models.CASCADE, null=True, blank=True
    )
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)


class Event(models.Model):
    """The audit log: append-only, each entry hashed over the one before it.

    Written only by ``inspection.services.events.event_record``, in the transaction of what it
    records.
    """

    at = models.DateTimeField()
    actor = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    kind = models.CharField(max_length=64)
    subject = models.CharField(max_length=100)  # "policy:7", "decision:42"
    data = models.JSONField(default=dict)
    previous_sha256 = models.CharField(max_length=64, unique=True)
    sha256 = models.CharField(max_length=64, unique=True)

    class Meta:
        indexes = [models.Index(fields=["kind", "at"]), models.Index(fields=["subject"])]

"""Sign-in by name and password."""

from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend


class PersonBackend(ModelBackend):
    """Django's own, except that demo people exist only in demo mode."""

    def user_can_authenticate(self, user: Any) -> bool:
        """Refuse inactive people, and demo people outside demo mode, open sessions included."""
        if getattr(user, "is_demo", False) and not settings.DEMO:
            return False
        return super().user_can_authenticate(user)

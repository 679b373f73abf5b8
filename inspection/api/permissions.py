"""The one permission class: an API view says which roles and scopes may use it."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from inspection.access import PUBLIC, SIGNED_IN, roles_of
from inspection.api.authentication import Device
from inspection.models import Person


class HasDeclaredRole(BasePermission):
    """Checks ``allowed_roles`` (people) and ``allowed_scopes`` (device tokens) of the view.

    A view without a declaration is closed to everybody.
    """

    message = "Your roles or this token's scopes do not allow this."

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the caller may use the view at all; rows are the selectors' business."""
        roles = getattr(view, "allowed_roles", ())
        if PUBLIC in roles:
            return True
        if isinstance(request.user, Device):
            scopes = set(request.user.token.scopes)
            return bool(scopes & set(getattr(view, "allowed_scopes", ())))
        if not isinstance(request.user, Person):
            # The schema page of drf-spectacular has no declaration of its own: signed in is enough.
            return False
        have = roles_of(request.user)
        if SIGNED_IN in roles or view.__class__.__module__.startswith("drf_spectacular"):
            return bool(have)
        return bool(have & set(roles))

"""Device tokens: how a camera or a line controller signs in."""

import hashlib
import secrets
from datetime import timedelta

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from inspection.models import DeviceToken

PREFIX = "slk_"


def new_token() -> tuple[str, str]:
    """Return a fresh token, to be shown once, and the hash to keep."""
    token = PREFIX + secrets.token_urlsafe(32)
    return token, hash_token(token)


def hash_token(token: str) -> str:
    """Return the sha256 of a token. Tokens are long and random: no slow hash is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


class Device:
    """What ``request.user`` is when a device token signed in: nobody in particular."""

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def __init__(self, token: DeviceToken) -> None:
        self.token = token
        self.pk = None


class DeviceTokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer slk_...``."""

    def authenticate(self, request: Request) -> tuple[Device, DeviceToken] | None:
        """Return the device, or ``None`` when no bearer token was sent."""
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        if len(words) != 2:
            raise AuthenticationFailed("Write: Authorization: Bearer TOKEN.")
        digest = hash_token(words[1].decode(errors="replace"))
        token = (
            DeviceToken.objects.select_related("line", "station__line")
            .filter(token_sha256=digest, revoked_at__isnull=True)
            .first()
        )
        if token is None:
            raise AuthenticationFailed("This token is unknown or was revoked.")
        now = timezone.now()
        if token.last_used_at is None or now - token.last_used_at > timedelta(minutes=1):
            # Once a minute is enough to see that a camera lives; a write per image is not free.
            DeviceToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return Device(token), token

    def authenticate_header(self, request: Request) -> str:
        """Make a missing sign-in a 401."""
        return "Bearer"


class DeviceTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Names the token in the OpenAPI schema."""

    target_class = DeviceTokenAuthentication
    name = "deviceToken"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return the OpenAPI security scheme."""
        return {"type": "http", "scheme": "bearer"}

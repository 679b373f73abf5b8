"""Turns every error of the API into the one JSON shape."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.views import set_rollback

from inspection.errors import DomainError


def exception_to_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return ``{"error": {code, message, extra}}``; ``None`` leaves unknown errors to Django."""
    set_rollback()
    if isinstance(error, DomainError):
        return Response(error.as_json(), status=error.status)
    if isinstance(error, ValidationError):
        extra = {"fields": error.detail}
        return _response(400, "invalid", "Some fields cannot be used: see extra.fields.", extra)
    if isinstance(error, Http404):
        return _response(404, "not_found", "No such thing here.")
    if isinstance(error, PermissionDenied):
        return _response(403, "not_allowed", "Not allowed.")
    if isinstance(error, APIException):
        response = _response(error.status_code, str(error.default_code), str(error.detail))
        wait = getattr(error, "wait", None)
        if wait is not None:
            response.headers["Retry-After"] = str(int(wait) + 1)
        return response
    return None


def _response(
    status: int, code: str, message: str, extra: dict[str, Any] | None = None
) -> Response:
    return Response(
        {"error": {"code": code, "message": message, "extra": extra or {}}}, status=status
    )

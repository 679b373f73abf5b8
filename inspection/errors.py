"""The one error shape: raised by services, turned into JSON or a page at the edge."""

from typing import Any, ClassVar


class DomainError(Exception):
    """Something a person or a client can understand and act on.

    ``status`` is the HTTP status an edge uses; ``code`` is stable for clients.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "invalid"

    def __init__(self, message: str, extra: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.extra = extra or {}

    def as_json(self) -> dict[str, Any]:
        """Return the error body that every endpoint uses."""
        return {"error": {"code": self.code, "message": self.message, "extra": self.extra}}


class NotAllowedError(DomainError):
    """The person may not do this here."""

    status = 403
    code = "not_allowed"


class NotFoundError(DomainError):
    """No such thing, or not visible to this person (the two are not told apart)."""

    status = 404
    code = "not_found"


class ConflictError(DomainError):
    """Somebody else was first, or the state has moved on."""

    status = 409
    code = "conflict"


class RefusedImageError(DomainError):
    """An image that was not accepted; ``extra['reason']`` holds the decoder's code."""

    status = 422
    code = "refused_image"


class StorageFullError(DomainError):
    """No room for another image."""

    status = 507
    code = "storage_full"


class BusyError(DomainError):
    """Everything that could do it is at work; the same request later will do."""

    status = 503
    code = "busy"

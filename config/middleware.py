"""Edges of every request: what a browser may load, and how our errors look on a page."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from inspection.errors import DomainError

# Everything comes from this server. Plotly sizes its figures with inline styles, so styles may
# be inline; scripts never.
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class ContentSecurityPolicyMiddleware:
    """Adds the Content-Security-Policy header to every answer."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response


class DomainErrorMiddleware:
    """Turns a ``DomainError`` that left a page view into a page that says what to do."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Render our own errors; anything else is Django's to report."""
        if not isinstance(error, DomainError):
            return None
        context = {"message": error.message, "extra": error.extra}
        return render(request, "error.html", context, status=error.status)

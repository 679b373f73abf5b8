"""plotly.js, served out of the plotly wheel: no network, no copy in this project."""

import gzip
from functools import cache
from importlib.metadata import version as version_of
from importlib.util import find_spec
from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import patch_vary_headers

from inspection.access import SIGNED_IN, allow

YEAR_S = 31_536_000


@allow(SIGNED_IN)
def plotly_js(request: HttpRequest, version: str) -> HttpResponse:
    """Return plotly.js; its address names the version, so browsers keep it for good."""
    if version != plotly_version():
        raise Http404("another version of plotly is installed")
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(_packed() if packed else _plain(), content_type="text/javascript")
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    patch_vary_headers(response, ["Accept-Encoding"])
    response.headers["Cache-Control"] = f"private, max-age={YEAR_S}, immutable"
    return response


@cache
def plotly_version() -> str:
    """Return the installed version of the wheel."""
    return version_of("plotly")


def plotly_url() -> str:
    """Return the address of plotly.js for a page."""
    return reverse("review:plotly-js", args=[plotly_version()])


def _plain() -> bytes:
    # Found without importing plotly: its import takes a second that a web process must not spend.
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise Http404("plotly is not installed")
    return (Path(spec.submodule_search_locations[0]) / "package_data/plotly.min.js").read_bytes()


@cache
def _packed() -> bytes:
    return gzip.compress(_plain(), compresslevel=6)

"""The review station's page: an empty frame. What it shows comes by the API, item by item."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.urls import reverse

from inspection.access import DECIDERS, allow, person_of
from review.forms import number_of


@allow(*DECIDERS)
def station(request: HttpRequest) -> HttpResponse:
    """Show the station, within the filters of the address, starting with ``item`` if given."""
    # "/api/v1/review/next" without its last word: the script adds the words itself.
    base = reverse("review-next").removesuffix("next")
    config: dict[str, Any] = {
        "person": person_of(request).pk,
        "item": number_of(request.GET.get("item")),
        "filters": {
            name: number_of(request.GET.get(name)) for name in ("product", "line", "station")
        },
        "api": {"base": base},
        "urls": {"login": resolve_url(settings.LOGIN_URL), "queue": reverse("review:queue")},
    }
    return render(request, "review/station.html", {"station_config": config})

"""The shift page: how many defects slip through, how many good parts are stopped, what it costs."""

from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.http import urlencode

from inspection.access import WATCHERS, allow, person_of
from inspection.models import Line, Product
from review.estimates import Numbers, numbers_of
from review.forms import number_of
from review.selectors.histogram import histogram_of, served_views
from review.selectors.queue import OLD_AFTER
from review.selectors.shift import (
    COMPLETED,
    NOT_BLIND,
    Counts,
    Scope,
    backlog_of,
    choices_of,
    counts_of,
    defect_types_of,
    policies_of,
    scope_for,
    site_of,
    unrouted_parts,
    waiting_now,
    zone_of,
)
from review.views.queue import waited_words
from review.views.shift_figures import (
    answers_figure,
    audits_figure,
    backlog_figure,
    flow_figure,
    histogram_figure,
)
from review.views.shift_tiles import tiles_of
from review.windows import CHOICES, Window, window_of

MOST_TYPES = 8


@allow(*WATCHERS)
def shift(request: HttpRequest) -> HttpResponse:
    """Show the numbers and figures of a window, within product and line."""
    person = person_of(request)
    site = site_of(person)
    name, first, last = (request.GET.get(key, "") for key in ("window", "from", "to"))
    window = window_of(name or ("custom" if first else "today"), first, last, zone_of(site))
    products, lines = choices_of(person)
    scope = scope_for(
        person,
        window,
        product=number_of(request.GET.get("product")),
        line=number_of(request.GET.get("line")),
    )
    counts = counts_of(scope)
    policies = policies_of(sorted({row.product for row in counts.flow}))
    numbers = numbers_of(counts, policies)
    before = numbers_of(counts_of(replace(scope, window=window.before)), policies)
    served = served_views(scope)
    view = number_of(request.GET.get("view"))
    chosen_view = next((one for one in served if one.view == view), served[0] if served else None)
    histogram = histogram_of(scope, chosen_view) if chosen_view is not None else None
    waiting = waiting_now(scope)
    query = _query(scope)
    context: dict[str, Any] = {
        "window": window,
        "title": _title(scope, products, lines),
        "tabs": _tabs(scope),
        "chips": _chips(scope, products, lines),
        "query": query,
        "numbers": numbers,
        "facts": _facts(numbers, counts, scope),
        "tiles": tiles_of(numbers, before, _before_words(window), site),
        "flow": flow_figure(counts, numbers, window),
        "answers": answers_figure(counts, numbers, window),
        "audits": audits_figure(counts, window),
        "backlog": backlog_figure(backlog_of(scope), window),
        "histogram": histogram_figure(histogram) if histogram is not None else None,
        "served": [
            {
                "name": one.name,
                "url": _address(scope, view=one.view),
                "active": chosen_view is not None and one.view == chosen_view.view,
            }
            for one in served
        ],
        "types": _types(scope, numbers.confirmed),
        "waiting": waiting,
        "oldest_words": waited_words(waiting.oldest_minutes * 60),
        "is_old": waiting.oldest_minutes * 60 >= OLD_AFTER.total_seconds(),
        "unrouted": unrouted_parts(scope),
        "links": {
            "parts": _parts_url(scope, ""),
            "flagged": _parts_url(scope, "flagged"),
            "audited": _parts_url(scope, "audited"),
        },
        "queue_url": _with_query(reverse("review:queue"), query),
        "audits_answered": counts.audits_with(COMPLETED, NOT_BLIND),
    }
    return render(request, "review/shift.html", context)


def _title(scope: Scope, products: list[Product], lines: list[Line]) -> str:
    names = [line.name for line in lines if line.pk == scope.line]
    names += [product.name for product in products if product.pk == scope.product]
    return ", ".join([scope.window.title, *names])


def _before_words(window: Window) -> str:
    return {"today": "Yesterday", "yesterday": "The day before"}.get(
        window.name, f"{window.days} days before" if window.days > 1 else "The day before"
    )


def _facts(numbers: Numbers, counts: Counts, scope: Scope) -> list[dict[str, Any]]:
    """Return the counts of the page's head, each with the list that it counts."""
    rows = (
        ("parts seen", numbers.seen, ""),
        ("passed", numbers.passed, None),
        ("to review", numbers.to_review, None),
        ("rejected", numbers.rejected, None),
        ("no verdict", numbers.no_verdict, "no-verdict"),
        ("defects confirmed", numbers.confirmed, "confirmed"),
        ("false alarms", numbers.false_alarms, "false-alarm"),
        ("audits answered", counts.audits_with(COMPLETED, NOT_BLIND), "audited"),
        ("misses found", counts.misses, "missed"),
    )
    return [
        {"label": label, "count": count, "url": _parts_url(scope, state)}
        for label, count, state in rows
    ]


def _parts_url(scope: Scope, state: str | None) -> str | None:
    """Return the list of parts behind a count, or ``None`` where no list shows just these."""
    if state is None:
        return None
    query = {name: value for name, value in _query(scope).items() if name != "window"}
    query |= {"from": scope.window.first.isoformat(), "to": scope.window.last.isoformat()}
    if state:
        query["state"] = state
    try:
        return _with_query(reverse("inspection:parts"), query)
    except NoReverseMatch:  # the page of parts does not exist in this installation
        return None


def _types(scope: Scope, confirmed: int) -> list[dict[str, Any]]:
    types = defect_types_of(scope)[:MOST_TYPES]
    most = max((one.count for one in types), default=1)
    return [
        {
            "name": one.name,
            "count": one.count,
            "width": round(100 * one.count / most, 1),
            "share": round(100 * one.count / confirmed) if confirmed else None,
        }
        for one in types
    ]


def _tabs(scope: Scope) -> list[dict[str, Any]]:
    return [
        {
            "label": label,
            "url": _with_query(
                reverse("review:shift"),
                {"window": name} | {k: v for k, v in _query(scope).items() if k in FILTERS},
            ),
            "active": scope.window.name == name,
        }
        for name, label in CHOICES.items()
    ]


FILTERS = ("product", "line")


def _chips(scope: Scope, products: list[Product], lines: list[Line]) -> list[dict[str, Any]]:
    chips: list[dict[str, Any]] = []
    for name, rows in (("line", lines), ("product", products)):
        now = getattr(scope, name)
        if len(rows) < 2 and now is None:
            continue
        for row in rows:
            chosen = row.pk == now
            if now is None or chosen:
                url = _address(scope, **{name: None if chosen else row.pk})
                chips.append({"group": name, "label": row.name, "chosen": chosen, "url": url})
    return chips


def _query(scope: Scope) -> dict[str, str | int]:
    """Return what leads back to this page."""
    query: dict[str, str | int] = {}
    if scope.window.name in CHOICES:
        query["window"] = scope.window.name
    else:
        query |= {"from": scope.window.first.isoformat(), "to": scope.window.last.isoformat()}
    if scope.product is not None:
        query["product"] = scope.product
    if scope.line is not None:
        query["line"] = scope.line
    return query


def _address(scope: Scope, **changes: int | None) -> str:
    query: dict[str, Any] = {**_query(scope), **changes}
    kept = {name: value for name, value in query.items() if value is not None}
    return _with_query(reverse("review:shift"), kept)


def _with_query(address: str, query: dict[str, Any]) -> str:
    return f"{address}?{urlencode(query)}" if query else address

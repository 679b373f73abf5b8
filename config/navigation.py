"""What the frame round every page shows: navigation by role, the line's state, the person."""

from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from inspection.access import DECIDERS, MAKERS, WATCHERS, roles_of
from inspection.models import Person, Role
from inspection.selectors import line_state, shown_zone

# (label, url name, roles)
PAGES: list[tuple[str, str, tuple[Role, ...]]] = [
    ("Review", "review:station", DECIDERS),
    ("Queue", "review:queue", DECIDERS),
    ("Shift", "review:shift", WATCHERS),
    ("Models", "training:models", MAKERS),
]
# Pages that belong to one of them though their address begins otherwise.
ALSO_UNDER = {"training:models": ("/versions/", "/runs/")}
MENU: list[tuple[str, str, tuple[Role, ...]]] = [
    ("Products", "inspection:products", MAKERS),
    ("Upload images", "inspection:upload", MAKERS),
    ("Parts", "inspection:parts", WATCHERS),
    ("People", "inspection:people", (Role.ADMIN,)),
    ("Devices", "inspection:devices", (Role.ADMIN,)),
    ("API", "api-docs", MAKERS),
]


def page_frame(request: HttpRequest) -> dict[str, Any]:
    """Return ``nav``, ``menu``, ``person``, ``line_state`` and ``zone`` for ``base.html``."""
    user = getattr(request, "user", None)
    if not isinstance(user, Person):
        return {"nav": [], "menu": [], "person": None, "line_state": None}
    roles = roles_of(user)
    labels = [Role(role).label for role in Role if role in roles]
    return {
        "nav": _links(PAGES, roles, request.path),
        "menu": _links(MENU, roles, request.path),
        "person": {
            "initials": user.initials.upper(),
            "name": user.display_name,
            "role": ", ".join(labels) or "no role yet",
        },
        "line_state": line_state(person=user),
        "zone": shown_zone(),
    }


def _links(
    pages: list[tuple[str, str, tuple[Role, ...]]], roles: set[Role], path: str
) -> list[dict[str, Any]]:
    links = []
    for label, name, allowed in pages:
        if not roles & set(allowed):
            continue
        try:
            url = reverse(name)
        except NoReverseMatch:  # the page does not exist in this installation
            continue
        active = path.startswith((url, *ALSO_UNDER.get(name, ())))
        links.append({"label": label, "url": url, "active": active})
    return links

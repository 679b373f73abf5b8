"""Who may do what, where. Selectors filter by it and services require it; pages only declare it.

Every page and endpoint declares the roles that may use it (``allow`` for pages, ``allowed_roles``
for API views); a test walks all addresses and fails on one without a declaration.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase

from inspection.errors import NotAllowedError
from inspection.models import Line, Membership, Person, Role

PUBLIC = "public"  # no sign-in needed: sign-in itself, health check, first set-up
SIGNED_IN = "signed in"  # any person with a membership

# Everybody in here may answer review items, so nobody in here sees a score before the first look.
DECIDERS = (Role.OPERATOR, Role.SUPERVISOR, Role.ENGINEER, Role.ADMIN)
WATCHERS = (Role.SUPERVISOR, Role.ENGINEER, Role.ADMIN)
MAKERS = (Role.ENGINEER, Role.ADMIN)
ADMINS = (Role.ADMIN,)

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def roles_of(person: Person | AnonymousUser) -> set[Role]:
    """Return every role the person has on any line."""
    if not isinstance(person, Person) or not person.is_active:
        return set()
    found = Membership.objects.filter(person=person).values_list("role", flat=True).distinct()
    return {Role(role) for role in found}


def lines_for(person: Person, roles: Iterable[str] = tuple(Role)) -> QuerySet[Line]:
    """Return the lines on which the person has one of the roles."""
    memberships = Membership.objects.filter(person=person, role__in=list(roles))
    if not person.is_active:
        return Line.objects.none()
    if memberships.filter(line__isnull=True).exists():
        return Line.objects.all()
    return Line.objects.filter(id__in=memberships.values("line"))


def may(person: Person, line: Line | None, roles: Iterable[str]) -> bool:
    """Return whether the person has one of the roles on the line (``None``: on every line)."""
    if not person.is_active:
        return False
    where = Q(line__isnull=True) | (Q(line=line) if line is not None else Q())
    if line is None:
        where = Q(line__isnull=True)
    return Membership.objects.filter(where, person=person, role__in=list(roles)).exists()


def require(person: Person, line: Line | None, roles: Iterable[str]) -> None:
    """Do nothing, or say what is missing.

    Raises:
        NotAllowedError: The person has none of the roles on that line.
    """
    wanted = [Role(role).label for role in roles]
    if not may(person, line, roles):
        where = f"on {line.name}" if line is not None else "on every line"
        raise NotAllowedError(f"This needs one of these roles {where}: {', '.join(wanted)}.")


def allow(*roles: str) -> Callable[[View], View]:
    """Declare who may open a page: ``PUBLIC``, ``SIGNED_IN``, or roles (on any line).

    Which rows the person then sees is the selectors' business.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if PUBLIC not in roles:
                if not isinstance(request.user, Person):
                    return redirect_to_login(request.get_full_path())
                have = roles_of(request.user)
                if not have or (SIGNED_IN not in roles and not have & set(roles)):
                    raise NotAllowedError("Your roles do not open this page.")
            return view(request, *args, **kwargs)

        checked.allowed_roles = roles  # type: ignore[attr-defined]  # read by the meta test
        return checked  # type: ignore[return-value]  # same signature, checked before the call

    return decorate


def person_of(request: Any) -> Person:
    """Return the signed-in person behind a request (``allow`` has made sure there is one)."""
    user = request.user
    if not isinstance(user, Person):
        raise NotAllowedError("Sign in first.")
    return user

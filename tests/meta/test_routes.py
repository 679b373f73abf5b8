"""Every address says who may use it, and few say everybody."""

import pytest

from inspection.access import PUBLIC, SIGNED_IN
from inspection.api.permissions import HasDeclaredRole
from inspection.models import Role
from tests.meta.routes import Route, all_routes

# Open to everybody: the door itself. A longer list needs a reason.
PUBLIC_NAMES = {"home", "health", "inspection:setup", "login", "logout"}
# Views of libraries, which declare nothing; the first two ask HasDeclaredRole by the settings.
OF_LIBRARIES = {"api-schema", "api-docs", "login", "logout"}
ROUTES = all_routes()
DECLARING = [route for route in ROUTES if route.name not in OF_LIBRARIES]


def _declared(route: Route) -> tuple[str, ...]:
    return tuple(getattr(route.api_class or route.view, "allowed_roles", ()))


def test_there_are_addresses_of_every_app() -> None:
    assert {name.split(":")[0] for name in (route.name for route in ROUTES)} >= {
        "inspection",
        "review",
        "training",
        "home",
    }


@pytest.mark.parametrize("route", DECLARING, ids=lambda route: route.path or "/")
def test_every_address_declares_its_roles(route: Route) -> None:
    declared = _declared(route)
    # An endpoint may be for devices alone; it then says so with both.
    scopes = getattr(route.api_class, "allowed_scopes", ())
    assert declared or scopes, f"{route.path}: no @allow(...) and no allowed_roles"
    assert not scopes or hasattr(route.api_class, "allowed_roles")
    assert set(declared) <= {PUBLIC, SIGNED_IN, *Role.values}
    assert (PUBLIC in declared) <= (route.name in PUBLIC_NAMES), f"{route.path} is open to all"


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.api_class], ids=lambda route: route.path
)
def test_every_endpoint_asks_for_the_declared_role(route: Route) -> None:
    assert route.api_class is not None
    assert HasDeclaredRole in route.api_class.permission_classes


@pytest.mark.parametrize("route", DECLARING, ids=lambda route: route.path or "/")
def test_every_address_has_a_name(route: Route) -> None:
    assert not route.name.endswith(":")
    assert route.name


def test_names_are_unique() -> None:
    names = [route.name for route in ROUTES]
    assert len(names) == len(set(names))

"""Set-up, people, roles, devices, lines and stations."""

from typing import Any

import pytest

from inspection.access import roles_of
from inspection.errors import ConflictError, DomainError, NotAllowedError
from inspection.models import DeviceToken, Event, Line, Membership, Person, Role, Site, Station
from inspection.services.people import (
    device_create,
    device_revoke,
    membership_add,
    membership_remove,
    person_create,
    person_set_active,
    person_set_password,
    site_setup,
)
from inspection.services.places import line_create, station_create
from tests import factories

pytestmark = pytest.mark.django_db
SETUP: dict[str, Any] = {
    "site_name": "Plant",
    "time_zone": "Europe/Berlin",
    "currency": "eur",
    "line_name": "Line 1",
    "station_name": "1A",
    "username": "anna",
    "full_name": "Anna Maria Berg",
    "password": "kranich-7-see",
}


@pytest.fixture
def admin() -> Person:
    return factories.make_person("admin", Role.ADMIN)


def create(by: Person, **fields: Any) -> Person:
    defaults: dict[str, Any] = {
        "username": "otto", "full_name": "Otto", "password": "kranich-7-see",
        "roles": [Role.OPERATOR], "line": None,
    }  # fmt: skip
    return person_create(by=by, **(defaults | fields))


def test_setup_makes_site_line_station_and_one_person_with_every_role() -> None:
    person = site_setup(**SETUP)
    assert (Site.objects.get().currency, Line.objects.get().name) == ("EUR", "Line 1")
    assert Station.objects.get().name == "1A"
    assert roles_of(person) == set(Role)
    assert (person.first_name, person.last_name, person.is_superuser) == (
        "Anna Maria",
        "Berg",
        False,
    )
    assert person.check_password("kranich-7-see")
    assert Event.objects.filter(kind="right.given").count() == len(Role)


def test_setup_is_closed_once_somebody_is_there(outsider: Person) -> None:
    with pytest.raises(ConflictError):
        site_setup(**SETUP)
    assert not Site.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [{"password": "12345678"}, {"time_zone": "Mars"}, {"currency": "E"}, {"username": "a b!"}],
)
def test_setup_with_a_wrong_value_leaves_nothing(wrong: dict[str, str]) -> None:
    with pytest.raises(DomainError):
        site_setup(**(SETUP | wrong))
    assert not Site.objects.exists()
    assert not Person.objects.exists()


def test_a_person_is_created_with_roles_and_events(admin: Person) -> None:
    line = factories.make_line()
    person = create(admin, roles=[Role.OPERATOR, Role.SUPERVISOR], line=line)
    assert roles_of(person) == {Role.OPERATOR, Role.SUPERVISOR}
    assert set(Event.objects.values_list("kind", flat=True)) == {"person.created", "right.given"}


def test_a_line_admin_creates_on_that_line_only() -> None:
    line = factories.make_line()
    by = factories.make_person("la", Role.ADMIN, line=line)
    create(by, line=line)
    for where in (None, factories.make_line("Line 9")):
        with pytest.raises(NotAllowedError):
            create(by, username="other", line=where)


@pytest.mark.parametrize("wrong", [{"password": "password"}, {"roles": []}, {"username": ""}])
def test_a_person_that_cannot_be_is_refused(admin: Person, wrong: dict[str, Any]) -> None:
    with pytest.raises(DomainError):
        create(admin, **wrong)
    assert Person.objects.count() == 1


def test_a_name_is_taken_once(admin: Person) -> None:
    create(admin)
    with pytest.raises(ConflictError):
        create(admin)


def test_roles_are_given_and_taken(admin: Person, outsider: Person) -> None:
    membership = membership_add(by=admin, person=outsider, role=Role.ENGINEER, line=None)
    with pytest.raises(ConflictError):
        membership_add(by=admin, person=outsider, role=Role.ENGINEER, line=None)
    with pytest.raises(NotAllowedError):
        membership_remove(by=outsider, membership=membership)
    membership_remove(by=admin, membership=membership)
    assert roles_of(outsider) == set()
    assert Event.objects.order_by("-id")[0].kind == "right.removed"


def test_the_last_administrator_stays(admin: Person) -> None:
    with pytest.raises(ConflictError):
        membership_remove(by=admin, membership=Membership.objects.get(person=admin))
    with pytest.raises(ConflictError):
        person_set_active(by=admin, person=admin, is_active=False)
    admin.refresh_from_db()
    assert admin.is_active
    assert roles_of(admin) == {Role.ADMIN}
    assert not Event.objects.exists()


def test_somebody_is_stopped_and_let_in_again(admin: Person, operator: Person) -> None:
    person_set_active(by=admin, person=operator, is_active=False)
    assert roles_of(operator) == set()
    with pytest.raises(ConflictError):
        person_set_active(by=admin, person=operator, is_active=False)
    person_set_active(by=admin, person=operator, is_active=True)
    with pytest.raises(NotAllowedError):
        person_set_active(by=operator, person=admin, is_active=False)


def test_a_password_is_set_by_a_whole_plant_admin(admin: Person, operator: Person) -> None:
    person_set_password(by=admin, person=operator, password="kranich-8-see")
    assert operator.check_password("kranich-8-see")
    with pytest.raises(DomainError):
        person_set_password(by=admin, person=operator, password="123")
    by = factories.make_person("la", Role.ADMIN, line=factories.make_line())
    with pytest.raises(NotAllowedError):
        person_set_password(by=by, person=operator, password="kranich-9-see")


def test_a_device_is_kept_as_a_hash_and_revoked(admin: Person) -> None:
    station = factories.make_station()
    device, token = device_create(
        by=admin, name=" camera 2A ", scopes=["images:write"], station=station
    )
    assert token.startswith("slk_")
    assert token not in str(DeviceToken.objects.values().get())
    assert (device.name, device.line, device.station) == ("camera 2A", station.line, station)
    assert token not in str(list(Event.objects.values()))
    device_revoke(by=admin, device=device)
    with pytest.raises(ConflictError):
        device_revoke(by=admin, device=device)


@pytest.mark.parametrize(
    "wrong", [{"scopes": []}, {"scopes": ["everything"]}, {"name": " "}, {"name": "x" * 101}]
)
def test_a_device_that_cannot_be_is_refused(admin: Person, wrong: dict[str, Any]) -> None:
    with pytest.raises(DomainError):
        device_create(by=admin, **({"name": "x", "scopes": ["line:read"]} | wrong))
    assert not DeviceToken.objects.exists()


def test_who_may_not_make_devices(engineer: Person) -> None:
    by = factories.make_person("la", Role.ADMIN, line=factories.make_line())
    for person in (engineer, by):
        with pytest.raises(NotAllowedError):
            device_create(by=person, name="x", scopes=["line:read"])
    device, _ = device_create(by=by, name="x", scopes=["line:read"], line=factories.make_line())
    with pytest.raises(NotAllowedError):
        device_revoke(by=engineer, device=device)


def test_lines_and_stations(admin: Person, engineer: Person) -> None:
    factories.make_line()
    line = line_create(name="Line 7", person=admin)
    with pytest.raises(ConflictError):
        line_create(name="Line 7", person=admin)
    with pytest.raises(NotAllowedError):
        line_create(name="Line 8", person=engineer)
    assert station_create(line=line, name="7A", person=engineer, bit_depth=12).bit_depth == 12
    with pytest.raises(ConflictError):
        station_create(line=line, name="7A", person=engineer)
    with pytest.raises(DomainError):
        station_create(line=line, name="7B", person=engineer, bit_depth=24)
    with pytest.raises(DomainError):
        station_create(line=line, name=" ", person=engineer)

"""Demo people can sign in only in demo mode."""

from django.test import Client
from pytest_django.fixtures import Settings

from inspection.backends import PersonBackend
from inspection.models import Person, Role
from tests import factories


def _demo_person() -> Person:
    person = factories.make_person("demo-operator", Role.OPERATOR)
    Person.objects.filter(pk=person.pk).update(is_demo=True)
    return person


def test_demo_person_signs_in_in_demo_mode(db: None, settings: Settings) -> None:
    settings.DEMO = True
    _demo_person()
    found = PersonBackend().authenticate(None, username="demo-operator", password="pw")
    assert found is not None


def test_demo_person_cannot_sign_in_otherwise(db: None, settings: Settings) -> None:
    settings.DEMO = False
    _demo_person()
    found = PersonBackend().authenticate(None, username="demo-operator", password="pw")
    assert found is None


def test_open_session_of_a_demo_person_ends_with_demo_mode(db: None, settings: Settings) -> None:
    settings.DEMO = True
    client = Client()
    client.force_login(_demo_person(), backend="inspection.backends.PersonBackend")
    assert "_auth_user_id" in client.session
    settings.DEMO = False
    response = client.get("/", follow=False)
    assert response.headers["Location"].endswith("/accounts/login/")

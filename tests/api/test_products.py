"""GET /api/v1/products."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from inspection.models import DefectType, Person, Role
from tests import factories
from tests.conftest import client_of

pytestmark = pytest.mark.django_db
URL = "/api/v1/products"


def test_works(operator: Person) -> None:
    product = factories.make_product("Flange ring")
    station = factories.make_station(product.line)
    view = factories.make_view(product, station=station)
    kind = DefectType.objects.create(product=product, name="scratch", key=3)
    assert client_of(operator).get(URL).json() == [
        {
            "id": product.pk,
            "name": "Flange ring",
            "line": "Line 2",
            "views": [{"id": view.pk, "name": "face", "station": "2A"}],
            "defect_types": [{"id": kind.pk, "name": "scratch", "key": 3, "family": "surface"}],
        }
    ]


def test_archived_and_other_lines_are_left_out() -> None:
    factories.make_product()
    gone = factories.make_product()
    gone.archived_at = timezone.now()
    gone.save()
    other = factories.make_line("Line 9")
    person = factories.make_person("x", Role.OPERATOR, line=other)
    factories.make_token("slk_test", "images:write", line=gone.line)
    assert client_of(person).get(URL).json() == []
    assert len(Client(HTTP_AUTHORIZATION="Bearer slk_test").get(URL).json()) == 1


def test_who_may_not(outsider: Person, operator: Person) -> None:
    assert Client().get(URL).status_code == 401
    assert client_of(outsider).get(URL).status_code == 403
    assert client_of(operator).post(URL).status_code == 405


def test_query_count(operator: Person, django_assert_max_num_queries: Any) -> None:
    for _ in range(10):
        factories.make_view()
    client = client_of(operator)
    with django_assert_max_num_queries(8):
        assert len(client.get(URL).json()) == 10

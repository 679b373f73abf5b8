"""Pages of inspection: who may open them, and that they work with 0, 1 and many rows."""

from datetime import time
from typing import Any

import pytest
from django.test import Client

from inspection.models import (
    DefectType,
    DeviceToken,
    Line,
    Membership,
    Part,
    Person,
    Policy,
    Product,
    Role,
    Site,
    Station,
)
from tests import factories
from tests.conftest import client_of

pytestmark = pytest.mark.django_db
SETUP = {
    "site_name": "Plant", "time_zone": "Europe/Berlin", "currency": "EUR", "line_name": "Line 1",
    "station_name": "1A", "username": "anna", "full_name": "Anna Berg",
    "password": "kranich-7-see", "password_again": "kranich-7-see",
}  # fmt: skip
MAKER_PAGES = ("/products/", "/products/new", "/lines/", "/upload/")
ADMIN_PAGES = ("/people/", "/devices/")


@pytest.fixture
def admin() -> Person:
    return factories.make_person("admin", Role.ADMIN)


def product_data(**changes: Any) -> dict[str, Any]:
    line = factories.make_line()
    return {
        "name": "Flange ring", "line": line.pk, "aim": "localise", "imaging": "controlled",
        "normals_expected": 100, "defects_expected": 4, "images_per_minute": 60,
        "latency_allowed_s": 5, "miss_cost": 80, "false_alarm_cost": 5,
        "review_minute_cost": 0.7, "audit_percent": 2, "rejected_percent": 100,
        "views-TOTAL_FORMS": 1, "views-INITIAL_FORMS": 1, "views-0-name": "face",
        "views-0-left": 10, "views-0-top": 0, "views-0-right": 90, "views-0-bottom": 100,
        "types-TOTAL_FORMS": 1, "types-INITIAL_FORMS": 0, "types-0-name": "scratch",
        "types-0-family": "surface", "types-0-severity": 2, "types-0-key": 3,
    } | changes  # fmt: skip


def test_a_new_installation_is_set_up_from_its_first_page() -> None:
    client = Client()
    assert client.get("/", follow=True).redirect_chain[-1][0] == "/setup/"
    response = client.post("/setup/", SETUP)
    assert response["Location"] == "/products/new"
    assert client.get("/products/new").status_code == 200
    assert Site.objects.get().time_zone == "Europe/Berlin"
    assert Membership.objects.filter(person__username="anna").count() == len(Role)
    assert client.get("/setup/")["Location"] == "/"


def test_set_up_says_what_is_wrong() -> None:
    response = Client().post("/setup/", SETUP | {"password_again": "other"})
    assert b"The two passwords differ." in response.content
    response = Client().post("/setup/", SETUP | {"password": "1", "password_again": "1"})
    assert b"too short" in response.content
    assert not Person.objects.exists()


def test_set_up_cannot_be_repeated(outsider: Person) -> None:
    assert Client().post("/setup/", SETUP).status_code == 302
    assert Person.objects.count() == 1


def test_sign_in_and_out(operator: Person) -> None:
    client = Client()
    assert client.get("/accounts/login/").status_code == 200
    wrong = client.post("/accounts/login/", {"username": "operator", "password": "no"})
    assert wrong.status_code == 200
    right = client.post("/accounts/login/", {"username": "operator", "password": "pw"})
    assert right["Location"] == "/"
    assert client.post("/accounts/logout/")["Location"] == "/accounts/login/"
    assert client.get("/products/")["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("url", [*MAKER_PAGES, *ADMIN_PAGES, "/parts/"])
def test_pages_work_with_nothing_there(url: str) -> None:
    person = factories.make_person("anna", *Role)
    assert client_of(person).get(url).status_code == 200


@pytest.mark.parametrize("url", [*MAKER_PAGES, *ADMIN_PAGES, "/parts/"])
def test_who_may_not_open_them(url: str, outsider: Person, operator: Person) -> None:
    assert Client().get(url)["Location"] == f"/accounts/login/?next={url}"
    assert client_of(outsider).get(url).status_code == 403
    assert client_of(operator).get(url).status_code == 403


@pytest.mark.parametrize("url", ADMIN_PAGES)
def test_admin_pages_are_closed_to_makers(url: str, engineer: Person) -> None:
    assert client_of(engineer).get(url).status_code == 403


@pytest.mark.parametrize(
    "url", ["/products/999/", "/parts/999/", "/products/99999999999999999999/"]
)
def test_bad_ids(url: str, engineer: Person) -> None:
    assert client_of(engineer).get(url).status_code == 404


def test_a_product_is_set_up_with_everything(engineer: Person) -> None:
    response = client_of(engineer).post("/products/new", product_data())
    product = Product.objects.get()
    view = product.views.get()
    assert response.status_code == 302, response.content
    assert response["Location"] in {f"/models/{view.pk}/", f"/products/{product.pk}/"}
    assert view.region_of_interest == [0.1, 0, 0.9, 1]
    policy = Policy.objects.get()
    assert (policy.miss_cost, policy.audit_rate) == (80, 0.02)
    assert DefectType.objects.get().key == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, b"This field is required."),
        ({"name": "a/b"}, b"no slash"),
        ({"audit_percent": 101}, b"less than or equal to 100"),
        ({"views-0-top": ""}, b"all four sides"),
        ({"views-0-left": 95}, b"Left lies before right"),
        ({"retrain_at": "25:00"}, b"Enter a valid time."),
        ({"retrain_after_normals": 0}, b"greater than or equal to 1"),
        ({"types-0-key": 12}, b"less than or equal to 9"),
    ],
)
def test_a_wrong_product_is_said_and_not_written(
    engineer: Person, change: dict[str, Any], words: bytes
) -> None:
    response = client_of(engineer).post("/products/new", product_data(**change))
    assert response.status_code == 200
    assert words in response.content
    assert not Product.objects.exists()


def test_a_saved_form_changes_nothing_and_a_changed_one_is_a_version(engineer: Person) -> None:
    client = client_of(engineer)
    client.post("/products/new", product_data())
    product = Product.objects.get()
    ids = {
        "views-0-id": product.views.get().pk,
        "types-INITIAL_FORMS": 1,
        "types-0-id": product.defect_types.get().pk,
    }
    url = f"/products/{product.pk}/"
    assert client.get(url).status_code == 200
    assert client.post(url, product_data(**ids))["Location"] == url
    assert Policy.objects.count() == 1
    assert product.views.count() == product.defect_types.count() == 1
    client.post(url, product_data(**ids, audit_percent=5, note="more audits"))
    assert (Policy.objects.first().version, Policy.objects.first().note) == (2, "more audits")  # type: ignore[union-attr]
    client.post(url, product_data(**ids | {"types-0-DELETE": "on"}))
    assert not DefectType.objects.exists()


def test_retraining_rules_are_set_shown_and_taken_away(engineer: Person) -> None:
    client = client_of(engineer)
    rules = {"retrain_at": "02:00", "retrain_after_normals": 20}
    client.post("/products/new", product_data(**rules))
    product = Product.objects.get()
    policy = Policy.objects.get()
    assert (policy.retrain_at, policy.retrain_after_normals) == (time(2, 0), 20)
    url = f"/products/{product.pk}/"
    page = client.get(url).content.decode()
    assert 'value="02:00"' in page
    assert 'value="20"' in page
    ids = {
        "views-0-id": product.views.get().pk,
        "types-INITIAL_FORMS": 1,
        "types-0-id": product.defect_types.get().pk,
    }
    client.post(url, product_data(**ids, **rules))
    assert Policy.objects.count() == 1
    client.post(url, product_data(**ids))
    policy = Policy.objects.latest("version")
    assert (policy.version, policy.retrain_at, policy.retrain_after_normals) == (2, None, None)


def test_a_product_is_archived_by_post_only(engineer: Person) -> None:
    product = factories.make_product()
    client = client_of(engineer)
    assert client.get(f"/products/{product.pk}/archive").status_code == 405
    client.post(f"/products/{product.pk}/archive")
    assert (
        product.name.encode()
        not in client.get("/products/").content.split(b"<main")[1].split(b"<table")[-1]
    )
    assert client.get(f"/products/{product.pk}/").status_code == 404


def test_another_lines_product_is_not_shown() -> None:
    product = factories.make_product()
    person = factories.make_person("x", Role.ENGINEER, line=factories.make_line("Line 9"))
    assert product.name.encode() not in client_of(person).get("/products/").content
    assert client_of(person).get(f"/products/{product.pk}/").status_code == 404


def test_the_upload_page_names_products_and_views(engineer: Person) -> None:
    view = factories.make_view(factories.make_product("Flange <ring>"))
    content = client_of(engineer).get("/upload/").content.decode()
    assert "Flange \\u003Cring\\u003E" in content
    assert f'"id": {view.pk}' in content


def test_people_are_created_changed_and_stopped(admin: Person) -> None:
    client = client_of(admin)
    data = {
        "username": "otto", "full_name": "Otto", "password": "kranich-7-see",
        "roles": ["operator", "engineer"], "line": "all",
    }  # fmt: skip
    assert client.post("/people/", data)["Location"] == "/people/"
    otto = Person.objects.get(username="otto")
    assert b"Otto" in client.get("/people/").content
    assert b"already" in client.post("/people/", data).content
    url = f"/people/{otto.pk}/"
    line = factories.make_line()
    client.post(url, {"action": "add", "role": "supervisor", "line": line.pk})
    assert otto.memberships.filter(role="supervisor", line=line).exists()
    client.post(url, {"action": "remove", "membership": otto.memberships.get(role="engineer").pk})
    assert not otto.memberships.filter(role="engineer").exists()
    client.post(url, {"action": "password", "password": "kranich-9-see"})
    client.post(url, {"action": "deactivate"})
    otto.refresh_from_db()
    assert (otto.is_active, otto.check_password("kranich-9-see")) == (False, True)
    refused = client.post(f"/people/{admin.pk}/", {"action": "deactivate"}, follow=True)
    assert b"Somebody must be left" in refused.content
    assert client.get("/people/999/").status_code == 404


def test_a_token_is_shown_once(admin: Person) -> None:
    client = client_of(admin)
    data = {"name": "camera 2A", "scopes": ["images:write"], "line": "all"}
    response = client.post("/devices/", data)
    assert b"slk_" in response.content.split(b"<main")[1].split(b"</code>")[1]
    assert "no-store" in response["Cache-Control"]
    assert response.content.count(b'class="token"') == 1
    assert b'class="token"' not in client.get("/devices/").content
    device = DeviceToken.objects.get()
    assert client.get(f"/devices/{device.pk}/revoke").status_code == 405
    client.post(f"/devices/{device.pk}/revoke")
    device.refresh_from_db()
    assert device.revoked_at is not None
    assert client.post("/devices/999/revoke").status_code == 404


def test_lines_and_stations_are_added(admin: Person) -> None:
    line = factories.make_line()
    client = client_of(admin)
    client.post("/lines/", {"action": "line", "name": "Line 7"})
    client.post("/lines/", {"action": "station", "line": line.pk, "name": "2B", "bit_depth": 12})
    assert Line.objects.filter(name="Line 7").exists()
    assert Station.objects.get().bit_depth == 12
    assert b"already" in client.post("/lines/", {"action": "line", "name": "Line 7"}).content


def test_lists_cost_the_same_with_many_rows(django_assert_max_num_queries: Any) -> None:
    person = factories.make_person("anna", *Role)
    client = client_of(person)
    for _ in range(12):
        view = factories.make_view()
        factories.make_image(view)
        factories.make_person("", Role.OPERATOR)
    for url in ("/products/", "/parts/", "/people/", "/devices/", "/upload/"):
        with django_assert_max_num_queries(17):
            assert client.get(url).status_code == 200
    assert Part.objects.count() == 12

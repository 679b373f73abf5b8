"""The rules of the house that no linter knows: light web process, no publish, clean records."""

import ast
import json
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from config.processes import BASE_DIR
from inspection.models import Person, Role
from tests import factories
from tests.conftest import client_of
from tests.meta.routes import all_routes

ENGINES = ("torch", "torchvision", "timm", "faiss", "openvino", "cv2", "numba")
# The only module that may talk to the broker, and the tasks that workers run.
PUBLISHERS = {"inspection/services/outbox.py"}

_OPEN_EVERYTHING = """
import json, sys
import config.wsgi
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.conf import settings
settings.ALLOWED_HOSTS = ["testserver"]
from django.test import Client
from inspection.models import Membership, Person, Role
from tests.meta.routes import all_routes
routes = all_routes()
signed_out = Client(raise_request_exception=False)
login = signed_out.get("/accounts/login/").status_code
person = Person.objects.create_user("a", password="a")
for role in Role:
    Membership.objects.create(person=person, role=role)
client = Client(raise_request_exception=False)
client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
opened = {r.path: client.get(r.example_path()).status_code for r in routes if r.name != "logout"}
print(json.dumps({"login": login, "opened": opened, "modules": sorted(sys.modules)}))
"""


@pytest.fixture(scope="module")
def web_process(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process that served every page once has to tell."""
    done = subprocess.run(
        [sys.executable, "-c", _OPEN_EVERYTHING],
        cwd=BASE_DIR,
        env=os.environ | {"SECONDLOOK_DATA": str(tmp_path_factory.mktemp("web"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_the_web_process_imports_no_engine(web_process: dict[str, Any]) -> None:
    assert web_process["login"] == 200
    loaded = {module.split(".")[0] for module in web_process["modules"]}
    assert not loaded & set(ENGINES)


def test_no_page_fails_on_an_empty_installation(web_process: dict[str, Any]) -> None:
    failing = {path: code for path, code in web_process["opened"].items() if code >= 500}
    assert failing == {}
    assert len(web_process["opened"]) > 5


def test_nothing_but_the_relay_publishes() -> None:
    """A call to ``delay`` in a request would wait for a broker that is away."""
    guilty = set()
    for app in ("config", "inspection", "review", "training"):
        for path in (BASE_DIR / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and node.attr in {
                    "delay",
                    "apply_async",
                    "send_task",
                }:
                    guilty.add(str(path.relative_to(BASE_DIR)))
    assert guilty <= PUBLISHERS


class _PublishedError(Exception):
    pass


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "post"])
def test_no_request_reaches_for_the_broker(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def refuse(name: str) -> Any:
        def called(*args: Any, **kwargs: Any) -> None:
            calls.append(name)
            raise _PublishedError(name)

        return called

    for name in (
        "kombu.messaging.Producer.publish",
        "kombu.connection.Connection.connect",
        "kombu.connection.Connection.ensure_connection",
        "celery.app.base.Celery.send_task",
        "celery.app.task.Task.apply_async",
        "redis.connection.AbstractConnection.connect",
    ):
        monkeypatch.setattr(name, refuse(name))
    person = factories.make_person("everything", *Role)
    image = factories.make_image()
    version = factories.make_version(image.view)
    factories.make_score(image, version)
    client = client_of(person)
    client.raise_request_exception = False
    for route in all_routes():
        if route.name in {"login", "logout"}:
            continue
        _open(client, method, route.example_path())
    assert calls == []


def _open(client: Client, method: str, path: str) -> None:
    if method == "get":
        response = client.get(path)
    elif path.startswith("/api/"):
        response = client.post(path, data="{}", content_type="application/json")
    else:
        response = client.post(path, data={"reason": "because", "note": "because"})
    response.close()


@pytest.mark.django_db
def test_models_and_migrations_agree() -> None:
    out = StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=out, stderr=out)
    assert "No changes detected" in out.getvalue()


def test_migration_numbers_do_not_clash() -> None:
    for app in ("inspection", "review", "training"):
        names = sorted(path.stem for path in (BASE_DIR / app / "migrations").glob("0*.py"))
        numbers = [name[:4] for name in names]
        assert len(numbers) == len(set(numbers)), names


def test_the_api_schema_is_valid_and_warns_of_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "schema.yaml"
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(path))
    assert "openapi: 3" in path.read_text()
    assert "arning" not in capfd.readouterr().err


def test_no_page_carries_inline_scripts_or_handlers() -> None:
    """The content policy would refuse them in silence; JSON for a script to read is no script."""
    for path in (BASE_DIR / "templates").rglob("*.html"):
        text = path.read_text()
        for attributes in re.findall(r"<script\b([^>]*)>", text):
            assert "src=" in attributes or "application/json" in attributes, path
        assert not re.search(r"\son[a-z]+\s*=\s*[\"']", text), path


def test_nothing_unpickles() -> None:
    for app in ("config", "detection", "inspection", "review", "training"):
        for path in (BASE_DIR / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                found = set()
                if isinstance(node, ast.Import):
                    found = {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    found = {str(node.module).split(".")[0]}
                assert not found & {"pickle", "shelve", "dill", "marshal", "joblib"}, path


def test_a_person_without_a_role_opens_no_page(outsider: Person) -> None:
    client = client_of(outsider)
    client.raise_request_exception = False
    opened = {
        route.path: client.get(route.example_path()).status_code
        for route in all_routes()
        if route.name not in {"home", "health", "login", "logout", "inspection:setup"}
    }
    assert {path: code for path, code in opened.items() if code not in {403, 404, 405}} == {}


@pytest.mark.django_db
def test_nobody_signed_in_opens_no_page() -> None:
    client = Client(raise_request_exception=False)
    opened = {
        route.path: client.get(route.example_path()).status_code
        for route in all_routes()
        if route.name not in {"home", "health", "login", "logout", "inspection:setup"}
    }
    assert {path: code for path, code in opened.items() if code not in {302, 401, 403, 405}} == {}

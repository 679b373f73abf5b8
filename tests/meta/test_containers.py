"""docker-compose.yml and Dockerfile, read statically: the image is not built here."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from config import health, processes
from config.processes import BASE_DIR

COMPOSE: dict[str, Any] = yaml.safe_load((BASE_DIR / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCUMENTED = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", (BASE_DIR / "docs/settings.md").read_text()))
DOCKERFILE = (BASE_DIR / "Dockerfile").read_text()


def test_every_process_has_a_service() -> None:
    table = processes.processes(bind="127.0.0.1:8000", sqlite=False, broker=True, cores=2)
    assert {process.name for process in table} | {"migrate"} == set(OURS)
    assert {"redis", "postgres"} == set(SERVICES) - set(OURS)


def test_one_image_for_all_of_ours() -> None:
    assert len({service["image"] for service in OURS.values()}) == 1


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_command_exists(name: str) -> None:
    command = OURS[name]["command"]
    assert command[0] == "python"
    if command[1] == "manage.py":
        words = [sys.executable, "manage.py", command[2], "--help"]
        done = subprocess.run(words, cwd=BASE_DIR, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return
    assert command[1:3] == ["-m", "config.processes"]
    table = processes.processes(bind="127.0.0.1:8000", sqlite=False, broker=True, cores=2)
    process = {process.name: process for process in table}[command[3]]
    words = [*process.command[: 3 if "manage.py" in process.command[1] else 4], "--help"]
    if process.command[2] == "celery":
        words = [*process.command[: process.command.index("beat") + 1], "--help"]
    done = subprocess.run(words, cwd=BASE_DIR, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_variable_is_documented(name: str) -> None:
    assert set(OURS[name]["environment"]) <= DOCUMENTED


def test_secrets_come_from_outside_and_have_no_default() -> None:
    text = (BASE_DIR / "docker-compose.yml").read_text()
    for secret in ("SECONDLOOK_SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"):
        uses = re.findall(r"\$\{" + secret + r"([^}]*)\}", text)
        assert uses, secret
        assert all(use.startswith(":?") for use in uses), secret
    for variable in re.findall(r"(?<!\$)\$\{([A-Z_]+)", text):
        assert variable in DOCUMENTED


@pytest.mark.parametrize("name", sorted(set(OURS) - {"migrate"}))
def test_ours_wait_for_database_broker_and_migrations(name: str) -> None:
    conditions = {key: value["condition"] for key, value in OURS[name]["depends_on"].items()}
    assert conditions == {
        "migrate": "service_completed_successfully",
        "postgres": "service_healthy",
        "redis": "service_healthy",
    }


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
def test_everybody_has_a_health_check(name: str) -> None:
    words = SERVICES[name]["healthcheck"]["test"]
    if name in OURS:
        assert words == ["CMD", "python", "-m", "config.health", name]
        assert name in {"web", "scheduler", *health.SILENT_S}
    else:
        assert words[0] == "CMD-SHELL"


def test_redis_keeps_its_log_and_volumes_have_names() -> None:
    assert "--appendonly yes" in SERVICES["redis"]["command"][-1]
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"]


def test_only_the_web_server_is_published_and_only_here() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"web": ["127.0.0.1:8000:8000"]}


def test_the_image_runs_as_nobody_special() -> None:
    user = DOCKERFILE.rindex("\nUSER secondlook")
    assert user > DOCKERFILE.rindex("\nRUN ")
    assert DOCKERFILE.count("\nFROM ") == 2
    assert "HEALTHCHECK" in DOCKERFILE


def test_what_the_image_copies_exists() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE)
    ignored = (BASE_DIR / ".dockerignore").read_text().split()
    for words in copied:
        for source in words.split():
            assert (BASE_DIR / source).exists(), source
            assert source not in ignored


def test_a_process_that_is_none_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "config.processes", "nobody"],
        cwd=BASE_DIR,
        env=os.environ | {"SECONDLOOK_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Name one process: web, relay" in done.stderr
    assert health.wrong_with("nobody") == "there is no process 'nobody'"

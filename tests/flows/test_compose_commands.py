"""Every service of docker-compose.yml, its own command line, on a real Postgres and Redis."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from config.processes import BASE_DIR
from tests.plant import free_port, postgres_server, redis_server
from tests.stack import clean_environment, wait_for

pytestmark = [pytest.mark.flow, pytest.mark.timeout(900)]

SERVICES = {
    name: service
    for name, service in yaml.safe_load((BASE_DIR / "docker-compose.yml").read_text())[
        "services"
    ].items()
    if "build" in service
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """The volumes of the services."""
    path = Path(tempfile.mkdtemp(prefix="secondlook-compose-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def _words(command: list[str]) -> list[str]:
    """Return the command with this environment's Python in place of the image's."""
    assert command[0] == "python"
    return [sys.executable, *command[1:]]


def test_every_service_starts_and_its_health_check_is_content(folder: Path) -> None:
    running: dict[str, subprocess.Popen[bytes]] = {}

    def logs() -> str:
        texts = [f"--- {path.stem}\n{path.read_text()[-3000:]}" for path in folder.glob("*.log")]
        return "\n".join(texts)

    def healthy(name: str) -> bool:
        assert running[name].poll() is None, f"{name} ended\n{logs()}"
        check = _words(SERVICES[name]["healthcheck"]["test"][1:])
        done = subprocess.run(
            check, cwd=BASE_DIR, env=environment, capture_output=True, check=False
        )
        return done.returncode == 0

    with ExitStack() as servers:
        environment = clean_environment() | {
            "DATABASE_URL": servers.enter_context(postgres_server()),
            "REDIS_URL": servers.enter_context(redis_server()),
            "SECONDLOOK_SECRET_KEY": secrets.token_urlsafe(50),
            "SECONDLOOK_HOSTS": "inspect.example",
            "SECONDLOOK_DATA": str(folder / "data"),
            "SECONDLOOK_INBOX": str(folder / "inbox"),
            "SECONDLOOK_BIND": f"127.0.0.1:{free_port()}",
        }
        subprocess.run(
            _words(SERVICES["migrate"]["command"]),
            cwd=BASE_DIR,
            env=environment,
            check=True,
            capture_output=True,
        )
        try:
            for name in sorted(set(SERVICES) - {"migrate"}):
                with (folder / f"{name}.log").open("wb") as log:
                    running[name] = subprocess.Popen(
                        _words(SERVICES[name]["command"]),
                        cwd=BASE_DIR,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        process_group=0,
                    )
            for name in sorted(running):
                wait_for(
                    lambda name=name: healthy(name),  # type: ignore[misc]
                    f"{name} is healthy",
                    timeout_s=180,
                    logs=logs,
                    every_s=1,
                )
            for process in running.values():
                process.send_signal(signal.SIGTERM)
            codes = {name: process.wait(timeout=60) for name, process in running.items()}
        finally:
            for process in running.values():
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
    assert codes == dict.fromkeys(running, 0)

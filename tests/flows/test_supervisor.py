"""The one command: everything comes up, what dies comes back, one signal ends all of it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.processes import BASE_DIR
from tests.plant import free_port
from tests.stack import answers_http, clean_environment, wait_for

pytestmark = [pytest.mark.flow, pytest.mark.timeout(900)]

# What stands in the command line of each child.
CHILDREN = {
    "broker": "valkey-server",
    "web": "gunicorn",
    "relay": "manage.py relay",
    "scoring": "--queue scoring",
    "training": "--queue training",
    "scheduler": " beat",
    "watcher": "manage.py watch",
}


@dataclass
class Running:
    """A supervisor at work."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    def log(self) -> str:
        """Return what it printed so far."""
        return (self.folder / "out").read_text(errors="replace")

    def children(self) -> dict[str, int]:
        """Return the direct children that run, by name."""
        found = {}
        for pid, command in _children_of(self.process.pid).items():
            for name, words in CHILDREN.items():
                if words in command:
                    found[name] = pid
        return found


def _children_of(pid: int) -> dict[int, str]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    found = {}
    for word in path.read_text().split() if path.exists() else []:
        try:
            command = Path(f"/proc/{word}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[int(word)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def _with_data_folder(folder: Path) -> list[str]:
    """Return the command line of every living process whose environment names the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            if f"SECONDLOOK_DATA={folder}".encode() in environment.split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: the broker's socket lies in it."""
    path = Path(tempfile.mkdtemp(prefix="secondlook-flow-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def _start(folder: Path, *words: str, port: int | None = None) -> Running:
    port = port or free_port()
    command = [sys.executable, "-m", "config.supervisor", "--bind", f"127.0.0.1:{port}", *words]
    with (folder / "out").open("ab") as out:
        process = subprocess.Popen(
            command,
            cwd=BASE_DIR,
            env=clean_environment() | {"SECONDLOOK_DATA": str(folder / "data")},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            process_group=0,
        )
    return Running(process, port, folder)


@pytest.fixture
def running(folder: Path) -> Iterator[Running]:
    """A supervisor whose children are all up and whose site answers."""
    started = _start(folder)
    try:
        wait_for(
            lambda: answers_http(started.port), "the site answers", timeout_s=180, logs=started.log
        )
        wait_for(
            lambda: started.children().keys() == CHILDREN.keys(),
            "all children run",
            logs=started.log,
        )
        yield started
    finally:
        if started.process.poll() is None:
            started.process.send_signal(signal.SIGTERM)
            try:
                started.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                started.process.kill()
                started.process.wait()


def test_a_killed_worker_comes_back_and_one_signal_ends_everything(running: Running) -> None:
    before = running.children()["scoring"]
    os.kill(before, signal.SIGKILL)
    after = wait_for(
        lambda: (
            running.children().get("scoring", before) != before
            and running.children().get("scoring")
        ),
        "another scoring worker runs",
        logs=running.log,
    )
    assert after != before
    assert "scoring   | was ended by SIGKILL; started again in 0.5 s" in running.log()
    wait_for(
        lambda: running.children().keys() == CHILDREN.keys(), "all children run", logs=running.log
    )
    assert len(_with_data_folder(running.folder / "data")) > len(CHILDREN)
    second = _start(running.folder)
    assert second.process.wait(timeout=30) == 1
    assert f"already runs on the data folder {running.folder / 'data'}" in running.log()
    assert f"process {running.process.pid}," in running.log()

    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(timeout=20) == 0, running.log()
    assert "everything has stopped" in running.log()
    assert _with_data_folder(running.folder / "data") == []


def test_a_killed_supervisor_leaves_no_orphans(running: Running) -> None:
    running.process.kill()
    running.process.wait()
    wait_for(
        lambda: _with_data_folder(running.folder / "data") == [],
        "every child has ended",
        timeout_s=20,
        logs=lambda: "\n".join(_with_data_folder(running.folder / "data")),
    )

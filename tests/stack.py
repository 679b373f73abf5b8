"""The real processes of one installation on a temporary folder, for flow and browser tests.

Command lines and environment come from ``config.processes``, the supervisor's own table.
"""

import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

from config import broker, processes
from config.processes import BASE_DIR, BROKER, RELAY, SCORING, STOP_ORDER, TRAINING, WEB, Process
from tests.plant import free_port

T = TypeVar("T")
# Deadlines are there to end a hang; on a busy machine everything takes longer.
READY_S = 180.0
DEADLINE_S = 60.0
# What the surroundings of the tests must not leak into an installation.
_OURS = ("SECONDLOOK_", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")


def clean_environment() -> dict[str, str]:
    """Return this process's environment without any setting of Secondlook."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def wait_for(
    check: Callable[[], T],
    what: str,
    *,
    timeout_s: float = DEADLINE_S,
    logs: Callable[[], str] = str,
    every_s: float = 0.1,
) -> T:
    """Return the first truthy answer of ``check``; when none comes, fail with the logs."""
    until = time.monotonic() + timeout_s
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > until:
            raise AssertionError(f"not within {timeout_s:g} s: {what}\n{logs()}")
        time.sleep(every_s)


def answers_http(port: int, path: str = "/healthz") -> bool:
    """Return whether a web server on the loopback answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass
class Stack:
    """One installation: start it, ask it, break it, end it.

    ``base_url`` is where the pages are; ``environment`` is what every process of it gets.
    """

    folder: Path
    port: int
    environment: dict[str, str] = field(repr=False)
    table: dict[str, Process] = field(repr=False)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, repr=False)
    _asker: subprocess.Popen[str] | None = field(default=None, repr=False)

    @classmethod
    def create(cls, folder: Path, extra: Mapping[str, str]) -> "Stack":
        """Make an empty installation: migrated, nothing started."""
        port = free_port()
        data = folder / "data"
        data.mkdir(parents=True)
        environment = clean_environment() | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SECONDLOOK_DATA": str(data),
            "SECONDLOOK_SECRET_KEY": secrets.token_urlsafe(50),
            "SECONDLOOK_QUARANTINE_H": "0",
            "SECONDLOOK_WATCH_SETTLE_S": "0.5",
            "SECONDLOOK_JOB_LEASE_S": "15",
            "SECONDLOOK_LOG_LEVEL": "INFO",
            **extra,
        }
        sqlite = "DATABASE_URL" not in environment
        found = processes.processes(bind=f"127.0.0.1:{port}", sqlite=sqlite, broker=True)
        table = {process.name: process for process in found}
        if "REDIS_URL" not in environment:
            socket_path = broker.broker_socket(data)
            environment["SECONDLOOK_BROKER_SOCKET"] = str(socket_path)
            command = tuple(broker.broker_command(data, socket_path))
            table = {BROKER: Process(BROKER, command), **table}
        stack = cls(folder, port, environment, table)
        stack.manage("migrate", "--verbosity", "0")
        return stack

    @property
    def base_url(self) -> str:
        """The address of its pages, without a closing slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def data_dir(self) -> Path:
        """Its data folder."""
        return Path(self.environment["SECONDLOOK_DATA"])

    # --- processes ------------------------------------------------------------------------
    def start(self, *names: str) -> None:
        """Start processes by name; the broker and the web server are waited for."""
        for name in names:
            if self.alive(name):
                continue
            process = self.table[name]
            # Whatever ends the tests ends these too.
            guard = shutil.which("setpriv")
            prefix = [guard, "--pdeathsig", "TERM", "--"] if guard else []
            with (self.folder / f"{name}.log").open("ab") as log:
                self._running[name] = subprocess.Popen(
                    [*prefix, *process.command],
                    cwd=BASE_DIR,
                    env=process.environment(self.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    process_group=0,
                )
        if BROKER in names:
            path = Path(self.environment["SECONDLOOK_BROKER_SOCKET"])
            self.wait_for(lambda: broker.answers(path), "the broker answers", timeout_s=READY_S)
        if WEB in names:
            self.wait_for(
                lambda: answers_http(self.port), "the web server answers", timeout_s=READY_S
            )

    def start_all(self) -> None:
        """Start broker (where embedded), relay, both workers and the web server."""
        wanted = (BROKER, WEB, RELAY, SCORING, TRAINING)
        self.start(*(name for name in wanted if name in self.table))

    def alive(self, name: str) -> bool:
        """Return whether the process runs."""
        return name in self._running and self._running[name].poll() is None

    def stop(self, name: str, *, timeout_s: float = 15.0) -> int:
        """Ask the process to stop, wait for it, end what is left of its group; its exit code."""
        running = self._running.pop(name)
        if running.poll() is None:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                running.kill()
        _kill_group(running.pid)
        return running.wait()

    def kill(self, name: str) -> None:
        """Kill the process and its group without a word, as a power cut would."""
        running = self._running.pop(name)
        _kill_group(running.pid)
        running.wait()

    def close(self) -> None:
        """Stop everything in order."""
        if self._asker is not None:
            with self._asker as asker:
                asker.terminate()
            self._asker = None
        for stage in STOP_ORDER:
            for name in [name for name in stage if name in self._running]:
                self.stop(name)

    # --- questions ------------------------------------------------------------------------
    def manage(self, *words: str, timeout_s: float = 300.0) -> str:
        """Run a management command of this installation and return what it printed."""
        done = subprocess.run(
            processes.manage(*words),
            cwd=BASE_DIR,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode:
            raise AssertionError(
                f"manage.py {' '.join(words)} ended with {done.returncode}\n"
                f"{done.stdout[-4000:]}{done.stderr[-4000:]}\n{self.logs()}"
            )
        return done.stdout

    def ask(self, code: str) -> Any:
        """Run Python in a process of this installation and return its ``answer`` (plain JSON).

        Every model is there by name: ``ask("answer = Part.objects.count()")``.
        """
        if self._asker is None:
            with (self.folder / "asker.log").open("ab") as log:
                self._asker = subprocess.Popen(
                    [sys.executable, "-m", "tests.asker"],
                    cwd=BASE_DIR,
                    env=self.environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
        _writer(self._asker.stdin).write(json.dumps({"code": code}) + "\n")
        _writer(self._asker.stdin).flush()
        line = _writer(self._asker.stdout).readline()
        if not line:
            raise AssertionError(f"the asker died\n{self.logs()}")
        reply = json.loads(line)
        if "error" in reply:
            raise AssertionError(reply["error"])
        return reply["answer"]

    def wait_for(self, check: Callable[[], T], what: str, *, timeout_s: float = DEADLINE_S) -> T:
        """Return the first truthy answer of ``check``, or fail with the logs of all processes."""
        return wait_for(check, what, timeout_s=timeout_s, logs=self.logs)

    def logs(self, last_lines: int = 40) -> str:
        """Return the end of every process's log."""
        parts = []
        for path in sorted(self.folder.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-last_lines:]
            state = "" if path.stem in self._running and self.alive(path.stem) else " (not running)"
            parts.append(f"--- {path.stem}{state}\n" + "\n".join(lines))
        return "\n".join(parts)


def _writer(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise RuntimeError("the asker has no pipes")
    return stream


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return

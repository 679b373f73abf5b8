"""One supervised child process: started in a group of its own, its output read line by line.

The system's part of the supervisor (process groups, parent-death signal, adopted orphans);
which children there are and when they start is the supervisor's business.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from config.processes import BASE_DIR, Process

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
HEALTHY_AFTER_S = 60.0
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
# Loaded before any fork: a child between fork and exec must not load libraries.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class Child:
    """A process that should run, with its tries."""

    def __init__(self, process: Process, *, once: bool = False) -> None:
        self.process = process
        self.once = once
        self.started_at = 0.0
        self.due_at: float | None = None  # when to start; None: runs, or must not start
        self.failures = 0
        self.exit_code: int | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self._rest = b""

    @property
    def name(self) -> str:
        """The name in front of its lines."""
        return self.process.name

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._popen.pid if self._popen else None

    @property
    def output(self) -> int:
        """The file descriptor of its output.

        Raises:
            ValueError: It does not run.
        """
        if self._popen is None or self._popen.stdout is None:
            raise ValueError(f"{self.name} does not run")
        return self._popen.stdout.fileno()

    def start(self, environment: dict[str, str], now: float) -> None:
        """Start it. Its group is its own, so that Ctrl-C reaches it only through the supervisor."""
        self._popen = subprocess.Popen(  # noqa: S603  # commands come from config.processes
            self.process.command,
            cwd=BASE_DIR,
            env=self.process.environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=_before_exec(self.process.nice),  # noqa: PLW1509  # one thread here
        )
        os.set_blocking(self.output, False)
        self.started_at, self.due_at, self.exit_code, self._rest = now, None, None, b""

    def lines(self) -> list[str]:
        """Return the whole lines written since the last call."""
        if self._popen is None:
            return []
        try:
            while chunk := os.read(self.output, 65536):
                self._rest += chunk
        except BlockingIOError:
            pass
        *whole, self._rest = self._rest.split(b"\n")
        return [line.decode(errors="replace").rstrip("\r") for line in whole]

    def signal(self, number: int) -> None:
        """Signal the process itself; it ends its own children in its own way."""
        if self._popen is not None:
            self._popen.send_signal(number)

    def kill(self) -> None:
        """Kill the whole group. Safe while unreaped: its number cannot be somebody else's."""
        if self._popen is not None:
            _kill_group(self._popen.pid)

    def reap(self, now: float, say: Callable[[str, str], None]) -> bool:
        """Return whether it ended since the last call; what it left behind in its group is killed.

        Sets ``exit_code``, ``failures`` and, unless it runs once, ``due_at``.
        """
        popen = self._popen
        if popen is None:
            return False
        # Look without reaping first: as long as the zombie stands, its group number is ours.
        if os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        _kill_group(popen.pid)
        self.exit_code = popen.wait()
        for line in [*self.lines(), self._rest.decode(errors="replace")]:
            if line:
                say(self.name, line)
        if popen.stdout is not None:
            popen.stdout.close()
        self._popen = None
        if now - self.started_at >= HEALTHY_AFTER_S:
            self.failures = 0
        self.failures += 1
        self.due_at = None if self.once else now + delay_s(self.failures)
        return True


def delay_s(failures: int) -> float:
    """Return how long to wait before the next start: 0.5 s, doubled each time, at most 30 s."""
    doublings: int = min(failures - 1, 10)
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0**doublings)


def adopt_orphans() -> None:
    """Make this process the parent of whatever its children leave behind (Linux)."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_orphans(known: set[int]) -> int:
    """Kill and reap adopted processes, those not in ``known``; return how many there were."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    if not children.is_file():
        return 0
    orphans = [int(word) for word in children.read_text().split() if int(word) not in known]
    for pid in orphans:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue
    return len(orphans)


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # nobody left in it
        return


def _before_exec(nice: int) -> Callable[[], None]:
    parent = os.getpid()

    def prepare() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # the supervisor died before the line above
            os._exit(1)
        if nice:
            os.nice(nice)

    return prepare

"""The processes that make up Secondlook: command line, environment, order of start and stop.

The one table that the supervisor, the flow tests and the check of ``docker-compose.yml`` read.
Not for starting anything.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config import env

BASE_DIR = Path(__file__).resolve().parent.parent
# Freed memory stays with the process: page faults of temporaries cost 38 % of the CPU time
# of scoring before. 32 MiB is the most that glibc takes for the first.
MEMORY_KEPT = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(512 * 1024 * 1024),
    "MALLOC_ARENA_MAX": "2",
}
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
BROKER, WEB, RELAY, SCORING = "broker", "web", "relay", "scoring"
TRAINING, SCHEDULER, WATCHER, DEMO = "training", "scheduler", "watcher", "demo"
MIGRATE, CHECK, LINE = "migrate", "check", "line"  # line: the demo's own, sends parts
# What takes work in stops first, then what does the work, then what carries the calls.
STOP_ORDER: tuple[tuple[str, ...], ...] = (
    (MIGRATE, CHECK, DEMO, LINE, WATCHER, SCHEDULER, WEB),
    (SCORING, TRAINING, RELAY),
    (BROKER,),
)


@dataclass(frozen=True, slots=True)
class Process:
    """One process: how it is started, and how politely it uses the cores."""

    name: str
    command: tuple[str, ...]
    threads: int = 1
    keeps_memory: bool = False
    nice: int = 0

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the whole environment; what the caller has set himself is left alone."""
        environment = dict(os.environ if base is None else base)
        environment["PYTHONUNBUFFERED"] = "1"
        ours = dict.fromkeys(THREAD_VARIABLES, str(self.threads))
        if self.keeps_memory:
            ours |= MEMORY_KEPT
        for name, value in ours.items():
            environment.setdefault(name, value)
        return environment


def manage(*words: str) -> tuple[str, ...]:
    """Return the command line of a management command."""
    return (sys.executable, str(BASE_DIR / "manage.py"), *words)


def web_command(bind: str, *, processes: int, threads: int) -> tuple[str, ...]:
    """Return gunicorn's command line."""
    return (
        *(sys.executable, "-m", "gunicorn", "config.wsgi:application"),
        *("--bind", bind),
        *("--worker-class", "gthread"),
        *("--workers", str(processes)),
        *("--threads", str(threads)),
        *("--timeout", "120"),
        *("--graceful-timeout", "4"),
        *("--keep-alive", "15"),
        # Whoever sets a proxy in front says so with SECONDLOOK_PROXY; else its headers are noise.
        *("--forwarded-allow-ips", "*" if env.flag("SECONDLOOK_PROXY") else ""),
        *("--log-level", "warning"),
        "--no-control-socket",  # two installations of one user would meet on it
    )


def scheduler_command() -> tuple[str, ...]:
    """Return beat's command line: its clock lives in memory, what is due lives in rows."""
    return (
        *(sys.executable, "-m", "celery", "--quiet", "--app", "config.celery:app", "beat"),
        *("--scheduler", "celery.beat:Scheduler"),
        *("--pidfile", ""),
        *("--loglevel", "WARNING"),
    )


def processes(*, bind: str, sqlite: bool, broker: bool, cores: int | None = None) -> list[Process]:
    """Return every process but the broker, in the order of start.

    Args:
        bind: Host and port of the web server.
        sqlite: One writing web process is then enough, and safest.
        broker: Whether any broker is there; without one the relay ticks and beat stays away.
        cores: For the thread limits; the machine's own when left out.
    """
    cores = cores or len(os.sched_getaffinity(0))
    scoring_threads = int(
        env.number("SECONDLOOK_SCORING_THREADS", max(1, min(cores - 1, 8)), low=1, high=256)
    )
    training_threads = int(env.number("SECONDLOOK_TRAINING_THREADS", cores, low=1, high=256))
    web_processes = int(env.number("SECONDLOOK_WEB_PROCESSES", 1 if sqlite else 2, low=1, high=64))
    web_threads = int(env.number("SECONDLOOK_WEB_THREADS", 8, low=1, high=256))
    web = web_command(bind, processes=web_processes, threads=web_threads)
    found = [
        Process(WEB, web),
        Process(RELAY, manage("relay")),
        Process(
            SCORING,
            manage("worker", "--queue", "scoring"),
            threads=scoring_threads,
            keeps_memory=True,
        ),
        # All cores, but behind everybody else: a run must not make the line wait.
        Process(
            TRAINING,
            manage("worker", "--queue", "training"),
            threads=training_threads,
            keeps_memory=True,
            nice=10,
        ),
    ]
    if broker:
        found.append(Process(SCHEDULER, scheduler_command()))
    found.append(Process(WATCHER, manage("watch")))
    return found


def main(arguments: list[str]) -> None:
    """Become one process of the table: ``python -m config.processes scoring`` (for containers)."""
    from config import settings

    sqlite = str(settings.DATABASES["default"]["ENGINE"]).endswith("sqlite3")
    bind = env.text("SECONDLOOK_BIND", "127.0.0.1:8000")
    table = {
        process.name: process
        for process in processes(bind=bind, sqlite=sqlite, broker=bool(settings.BROKER_URL))
    }
    if len(arguments) != 1 or arguments[0] not in table:
        sys.exit(f"Name one process: {', '.join(table)}.")
    process = table[arguments[0]]
    if process.nice:
        os.nice(process.nice)
    os.chdir(BASE_DIR)
    os.execve(process.command[0], process.command, process.environment())  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])

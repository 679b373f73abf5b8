"""A plant's servers for tests: Debian's Postgres and Redis, on folders and ports of their own.

Also a command: ``python -m tests.plant -- COMMAND`` runs COMMAND with ``DATABASE_URL`` and
``REDIS_URL`` set, and takes everything away after it.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

READY_S = 30.0


class MissingServerError(Exception):
    """The machine has no such server."""


def free_port() -> int:
    """Return a port of the loopback that nobody uses right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgres_folder() -> Path:
    """Return the folder of Postgres' programs: Debian keeps them out of PATH.

    Raises:
        MissingServerError: Not installed.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    anywhere = shutil.which("initdb")
    if anywhere:
        return Path(anywhere).resolve().parent
    raise MissingServerError("Postgres is not installed (Debian: apt-get install postgresql)")


def redis_program() -> str:
    """Return the Redis (or Valkey) server.

    Raises:
        MissingServerError: Not installed.
    """
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        raise MissingServerError("Redis is not installed (Debian: apt-get install redis-server)")
    return found


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a Postgres of our own and give its ``DATABASE_URL``; its folder is removed after."""
    programs = postgres_folder()
    folder = Path(tempfile.mkdtemp(prefix="secondlook-postgres-"))
    port = free_port()
    # Postgres refuses to run as root: Debian's package has made a user for it.
    account = pwd.getpwnam("postgres") if os.getuid() == 0 else None
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)
    user = account.pw_name if account else None
    cluster = folder / "cluster"
    server: subprocess.Popen[bytes] | None = None
    try:
        subprocess.run(
            [
                *(programs / "initdb", "--pgdata", cluster, "--auth", "trust"),
                *("--username", "secondlook", "--encoding", "UTF8", "--no-sync"),
            ],
            user=user,
            cwd=folder,
            check=True,
            capture_output=True,
        )
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [
                    *(programs / "postgres", "-D", cluster, "-p", str(port)),
                    *(
                        "-c",
                        "listen_addresses=127.0.0.1",
                        "-c",
                        f"unix_socket_directories={folder}",
                    ),
                    # A cluster that lives for one test run need not survive a power cut.
                    *("-c", "fsync=off", "-c", "max_connections=100"),
                ],
                user=user,
                cwd=folder,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        _wait_for_port(port, server, folder / "log")
        subprocess.run(
            [
                *(programs / "createdb", "-h", "127.0.0.1", "-p", str(port)),
                *("-U", "secondlook", "secondlook"),
            ],
            check=True,
            capture_output=True,
        )
        yield f"postgres://secondlook@127.0.0.1:{port}/secondlook"
    finally:
        # SIGINT is Postgres' fast shutdown: it does not wait for clients to leave.
        _end(server, signal.SIGINT)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis_server() -> Iterator[str]:
    """Run a Redis of our own with its log on disk and give its ``REDIS_URL``."""
    program = redis_program()
    folder = Path(tempfile.mkdtemp(prefix="secondlook-redis-"))
    port = free_port()
    server: subprocess.Popen[bytes] | None = None
    try:
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [
                    *(program, "--port", str(port), "--bind", "127.0.0.1"),
                    *("--dir", str(folder), "--appendonly", "yes", "--save", ""),
                ],
                stdout=log,
                stderr=log,
                process_group=0,
            )
        _wait_for_port(port, server, folder / "log")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        _end(server, signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_port(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the server did not come up:\n{log.read_text(errors='replace')[-4000:]}")


def _end(server: subprocess.Popen[bytes] | None, number: signal.Signals) -> None:
    if server is None or server.poll() is not None:
        return
    server.send_signal(number)
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def main(arguments: list[str]) -> int:
    """Run the command after ``--`` against a plant's servers and return its exit code."""
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    with ExitStack() as servers:
        environment = os.environ | {
            "DATABASE_URL": servers.enter_context(postgres_server()),
            "REDIS_URL": servers.enter_context(redis_server()),
        }
        return subprocess.run(arguments, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

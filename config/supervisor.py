"""Starts everything with one command and keeps it running: ``python -m config.supervisor``.

One thread and one loop; children are described in ``config.processes``. It knows no Django:
what needs the database is done by management commands.
"""

import argparse
import fcntl
import http.client
import os
import selectors
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TextIO

from django.core.exceptions import ImproperlyConfigured

from config import broker, processes
from config.children import Child, adopt_orphans, delay_s, end_orphans
from config.demo import LOGINS
from config.processes import Process

# Seconds after the stop signal at which a stage that still lives is killed; all under 15.
STAGE_ENDS_S = (6.0, 11.0, 14.0)
BROKER_READY_S = 15.0
# One Ctrl-C under make arrives twice: from the terminal and from make.
SAME_PRESS_S = 1.0
LOOPBACK = ("127.", "localhost", "[::1]", "::1")


class StartError(Exception):
    """Secondlook cannot start; the message says why and what to do."""


class Supervisor:
    """The loop over all children of one installation."""

    def __init__(
        self, *, data_dir: Path, bind: str, demo: bool, demo_folder: str, out: TextIO
    ) -> None:
        self.data_dir = data_dir
        self.bind = bind
        self.demo = demo
        self.demo_folder = demo_folder
        self._out = out
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._environment = dict(os.environ)
        self._stop_at: float | None = None
        self._swept_at = 0.0
        self._web_seen = False
        self._wake_in, self._wake_out = socket.socketpair()
        for end in (self._wake_in, self._wake_out):
            end.setblocking(False)

    def run(self) -> int:
        """Start everything, watch it, and return the exit code once all of it has ended."""
        from config import settings

        adopt_orphans()
        self._listen_to_signals()
        self._environment["SECONDLOOK_DATA"] = str(self.data_dir)
        if settings.EMBEDDED_BROKER:
            self._environment["SECONDLOOK_BROKER_SOCKET"] = str(settings.BROKER_SOCKET)
        if self.demo:
            self._environment["SECONDLOOK_DEMO"] = "1"
        migrate = Process(processes.MIGRATE, processes.manage("migrate", "--noinput"))
        check = Process(processes.CHECK, processes.manage("check", "--database", "default"))
        for process in (migrate, check):
            if not self._run_to_end(process):
                return 0 if self._stop_at is not None else 1
        if settings.EMBEDDED_BROKER and not self._start_broker(settings.BROKER_SOCKET):
            return self._end()
        sqlite = str(settings.DATABASES["default"]["ENGINE"]).endswith("sqlite3")
        table = processes.processes(bind=self.bind, sqlite=sqlite, broker=bool(settings.BROKER_URL))
        for process in table:
            self._add(Child(process))
        if self.demo:
            words = ("demo", *(("--data", self.demo_folder) if self.demo_folder else ()))
            cores = len(os.sched_getaffinity(0))
            process = Process(
                processes.DEMO, processes.manage(*words), threads=cores, keeps_memory=True
            )
            self._add(Child(process, once=True))
        while self._stop_at is None:
            self._turn()
            self._greet()
        return self._end()

    # --- the loop -------------------------------------------------------------------------
    def _turn(self) -> None:
        """One round: wait a little, pass on output, bury the dead, start who is due."""
        for key, _ in self._selector.select(timeout=0.25):
            if key.data is None:
                self._wake_in.recv(4096)
            else:
                child: Child = key.data
                lines = child.lines()
                for line in lines:
                    self.say(child.name, line)
                if not lines:  # end of file, or half a line: the next reap tells
                    time.sleep(0.01)
        now = time.monotonic()
        for child in list(self._children):  # mourning may add one
            output = child.output if child.pid else -1
            if child.reap(now, self.say):
                self._selector.unregister(output)
                self._mourn(child)
        if self._stop_at is None:
            for child in self._children:
                if child.due_at is not None and child.due_at <= now:
                    child.start(self._environment, now)
                    self._selector.register(child.output, selectors.EVENT_READ, child)
        if now - self._swept_at > 2:
            self._swept_at = now
            end_orphans({child.pid for child in self._children if child.pid})

    def _add(self, child: Child) -> None:
        child.due_at = 0.0
        self._children.append(child)

    def _mourn(self, child: Child) -> None:
        code = child.exit_code or 0
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        if self._stop_at is not None:
            return
        if child.once:
            if child.name == processes.DEMO:
                self._demo_done(fine=code == 0)
            elif code:
                self.say(child.name, how)
            return
        wait_s = delay_s(child.failures)
        self.say(child.name, f"{how}; started again in {wait_s:g} s")
        if child.name == processes.BROKER and child.failures == 3:
            aside = broker.set_aside(self.data_dir)
            if aside:
                self.say(child.name, f"its log could not be read, it now lies in {aside}")

    def _run_to_end(self, process: Process) -> bool:
        """Run one command before anything else; return whether it ended well."""
        child = Child(process, once=True)
        self._add(child)
        while child.exit_code is None and self._stop_at is None:
            self._turn()
        if self._stop_at is not None:
            self._end()
        self._children.remove(child)
        return child.exit_code == 0

    def _start_broker(self, socket_path: Path) -> bool:
        """Start the embedded broker and return whether it answers before anybody asked to stop."""
        command = broker.broker_command(self.data_dir, socket_path)
        self._add(Child(Process(processes.BROKER, tuple(command))))
        until = time.monotonic() + BROKER_READY_S
        while self._stop_at is None:
            self._turn()
            if broker.answers(socket_path):
                return True
            if time.monotonic() > until:
                # Not fatal: nothing is lost without it, everything is only slower.
                self.say(processes.BROKER, "does not answer yet; the rest starts without it")
                return True
        return False

    # --- words ----------------------------------------------------------------------------
    def say(self, name: str, line: str) -> None:
        """Print one line with the time and the process it comes from."""
        if name == processes.BROKER and broker.HARMLESS in line:
            return
        try:
            print(  # the supervisor's one way out
                f"{time.strftime('%H:%M:%S')} {name:<9} | {line}", file=self._out, flush=True
            )
        except (BrokenPipeError, ValueError):  # nobody reads any more: stop as asked by a signal
            self._stop_at = self._stop_at or time.monotonic()

    def _greet(self) -> None:
        """Print the address once, when the web server answers."""
        if self._web_seen or not _answers_http(self.bind):
            return
        self._web_seen = True
        host, port = _host_port(self.bind)
        self.say("ready", f"Secondlook is at http://{_reachable(host)}:{port}/")
        if not self.demo:
            self.say("ready", "Ctrl-C stops everything.")
        else:
            self.say("ready", "The demo is being prepared; its logins follow.")

    def _demo_done(self, *, fine: bool) -> None:
        if not fine:
            self.say("demo", "could not be prepared (see above). Start again: it goes on there.")
            return
        host, port = _host_port(self.bind)
        self.say("ready", f"The demo stands at http://{_reachable(host)}:{port}/ . Sign in as:")
        for user, password, purpose in LOGINS:
            self.say("ready", f"  {user:<11} password {password:<11} {purpose}")
        self.say("ready", "Ctrl-C stops everything; a second start goes on with the same data.")
        if not self.demo_folder:
            line = Process(processes.LINE, processes.manage("demo", "--stream"))
            self._add(Child(line, once=True))

    # --- the end --------------------------------------------------------------------------
    def _listen_to_signals(self) -> None:
        self._selector.register(self._wake_in, selectors.EVENT_READ, None)
        signal.set_wakeup_fd(self._wake_out.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to wake the loop
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_stop_signal)

    def _on_stop_signal(self, number: int, frame: object) -> None:
        now = time.monotonic()
        if self._stop_at is None:
            self._stop_at = now
        elif now - self._stop_at > SAME_PRESS_S:  # a second one: no more patience
            self._stop_at -= STAGE_ENDS_S[-1]

    def _end(self) -> int:
        """Stop all children stage by stage; return 0 when none had to be killed."""
        if self._stop_at is None:
            self._stop_at = time.monotonic()
        self.say("stop", "stopping")
        killed = 0
        for names, end_s in zip(processes.STOP_ORDER, STAGE_ENDS_S, strict=True):
            stage = [child for child in self._children if child.name in names]
            for child in stage:
                child.signal(signal.SIGTERM)
            while any(child.pid for child in stage):
                if time.monotonic() - self._stop_at > end_s:
                    for child in stage:
                        if child.pid:
                            self.say(child.name, "did not stop in time and was killed")
                            child.kill()
                            killed += 1
                    while any(child.pid for child in stage):
                        self._turn()
                    break
                self._turn()
        end_orphans(set())
        self.say("stop", "everything has stopped" if not killed else "everything was stopped")
        return 0 if not killed else 1


def _host_port(bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise StartError(f"--bind {bind} cannot be read: write it as 127.0.0.1:8000.")
    return host, int(port)


def _reachable(host: str) -> str:
    """Return the host to type into a browser on this machine."""
    return {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104


def _answers_http(bind: str) -> bool:
    host, port = _host_port(bind)
    connection = http.client.HTTPConnection(_reachable(host).strip("[]"), port, timeout=1)
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        # Any answer will do: 400 only means that SECONDLOOK_HOSTS has no localhost.
        return connection.getresponse().status in {200, 400}
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def port_is_free(bind: str) -> None:
    """Do nothing, or say that somebody else listens there.

    Raises:
        StartError: In use, not allowed, or no address of this machine.
    """
    host, port = _host_port(bind)
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError as error:
            raise StartError(
                f"Port {port} on {host} cannot be used ({error.strerror}). Is another server "
                f"running? End it, or choose another port with --bind {host}:{port + 1}."
            ) from error


def lock(data_dir: Path, bind: str) -> TextIO:
    """Return the open lock file of the data folder; it is held until closed.

    Raises:
        StartError: Another supervisor holds it.
    """
    stream = (data_dir / "supervisor.lock").open("a+")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.seek(0)
        holder = stream.read().strip() or "another process"
        stream.close()
        raise StartError(
            f"Secondlook already runs on the data folder {data_dir} ({holder}). Stop it first, "
            "or set SECONDLOOK_DATA to another folder."
        ) from None
    stream.truncate(0)
    stream.write(f"process {os.getpid()}, http://{bind}/\n")
    stream.flush()
    return stream


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, refuse what cannot work, and run."""
    parser = argparse.ArgumentParser(
        prog="python -m config.supervisor", description="Start Secondlook and keep it running."
    )
    parser.add_argument("--demo", action="store_true", help="make and serve the demo")
    parser.add_argument(
        "--data", default="", metavar="FOLDER", help="a folder in MVTec layout, for the demo"
    )
    parser.add_argument("--bind", default="", metavar="HOST:PORT")
    options = parser.parse_args(arguments)
    if options.demo:  # before the settings are read
        os.environ["SECONDLOOK_DEMO"] = "1"
    try:
        from config import env, settings

        demo = bool(settings.DEMO)
        bind = options.bind or env.text("SECONDLOOK_BIND", "127.0.0.1:8000")
        if options.data and not demo:
            raise StartError("--data belongs to the demo: add --demo.")
        demo_folder = str(Path(options.data).resolve()) if options.data else ""
        if demo_folder and not Path(demo_folder).is_dir():
            raise StartError(f"There is no folder {demo_folder}.")
        if demo and not _host_port(bind)[0].startswith(LOOPBACK):
            raise StartError(
                "The demo's passwords are known to everybody, so it listens on this machine only: "
                "leave --bind away, or run without the demo."
            )
        with lock(settings.DATA_DIR, bind):
            port_is_free(bind)
            return Supervisor(
                data_dir=settings.DATA_DIR,
                bind=bind,
                demo=demo,
                demo_folder=demo_folder,
                out=sys.stdout,
            ).run()
    except (StartError, broker.BrokerError, ImproperlyConfigured) as error:
        print(f"Secondlook cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""The table of processes, the back-off, and where the broker's socket lies."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import broker, processes
from config.children import Child, delay_s
from config.processes import MEMORY_KEPT, STOP_ORDER, THREAD_VARIABLES, Process


def _table(**changes: object) -> dict[str, Process]:
    arguments = {"bind": "127.0.0.1:8000", "sqlite": True, "broker": True, "cores": 4} | changes
    return {process.name: process for process in processes.processes(**arguments)}  # type: ignore[arg-type]


def test_every_process_has_a_place_in_the_order_of_stop() -> None:
    stopped = {name for stage in STOP_ORDER for name in stage}
    assert set(_table()) <= stopped
    assert processes.BROKER in STOP_ORDER[-1]


def test_without_a_broker_the_scheduler_stays_away() -> None:
    assert set(_table()) - set(_table(broker=False)) == {processes.SCHEDULER}


def test_one_web_process_on_sqlite_and_more_on_postgres() -> None:
    def workers(table: dict[str, Process]) -> str:
        command = table[processes.WEB].command
        return command[command.index("--workers") + 1]

    assert workers(_table()) == "1"
    assert workers(_table(sqlite=False)) == "2"


def test_threads_and_memory_are_limited_for_each_process() -> None:
    table = _table(cores=4)
    web = table[processes.WEB].environment({})
    scoring = table[processes.SCORING].environment({})
    assert {web[name] for name in THREAD_VARIABLES} == {"1"}
    assert {scoring[name] for name in THREAD_VARIABLES} == {"3"}
    assert scoring.items() >= MEMORY_KEPT.items()
    assert not web.keys() & MEMORY_KEPT.keys()


def test_what_a_person_sets_wins_over_our_limits() -> None:
    scoring = _table()[processes.SCORING].environment({"OMP_NUM_THREADS": "7"})
    assert scoring["OMP_NUM_THREADS"] == "7"


def test_proxy_headers_are_believed_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def trusted() -> str:
        command = _table()[processes.WEB].command
        return command[command.index("--forwarded-allow-ips") + 1]

    monkeypatch.delenv("SECONDLOOK_PROXY", raising=False)
    assert trusted() == ""
    monkeypatch.setenv("SECONDLOOK_PROXY", "1")
    assert trusted() == "*"


def test_the_delay_doubles_up_to_half_a_minute() -> None:
    assert [delay_s(failures) for failures in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def _ended(child: Child, *, started_at: float, ended_at: float) -> None:
    child.start(dict(os.environ), started_at)
    said: list[str] = []
    while not child.reap(ended_at, lambda name, line: said.append(f"{name} {line}")):
        pass
    assert said == ["fails last words"]


def test_a_minute_of_health_forgets_earlier_failures() -> None:
    child = Child(Process("fails", ("/bin/sh", "-c", "printf 'last words'; exit 3")))
    for tries in (1, 2, 3):
        _ended(child, started_at=100.0, ended_at=101.0)
        assert (child.exit_code, child.failures) == (3, tries)
    assert child.due_at == 101.0 + 2.0
    _ended(child, started_at=100.0, ended_at=161.0)
    assert child.failures == 1


@pytest.fixture
def short_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="slk-"))
    yield folder
    shutil.rmtree(folder)


def test_the_socket_lies_in_the_data_folder_where_the_path_is_short(short_folder: Path) -> None:
    assert broker.broker_socket(short_folder) == short_folder / "broker" / "valkey.sock"


def test_a_long_data_folder_moves_the_socket_to_a_private_folder(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_folder))
    long = Path("/") / ("a" * 60) / ("b" * 60)
    path = broker.broker_socket(long)
    assert path.is_relative_to(short_folder)
    assert path != broker.broker_socket(Path("/") / ("a" * 60) / ("c" * 60))
    monkeypatch.setenv("XDG_RUNTIME_DIR", f"/{'d' * 120}")
    assert len(os.fsencode(broker.broker_socket(long))) <= broker.MAX_SOCKET_BYTES


def test_the_broker_folder_is_private_and_never_a_link(short_folder: Path) -> None:
    folder = short_folder / "broker"
    folder.mkdir(mode=0o755)
    broker.private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    link = short_folder / "link"
    link.symlink_to(folder)
    with pytest.raises(broker.BrokerError, match="remove it"):
        broker.private_folder(link)


def test_the_broker_has_no_network_and_keeps_a_log(short_folder: Path) -> None:
    command = broker.broker_command(short_folder, broker.broker_socket(short_folder))
    assert command[command.index("--port") + 1] == "0"
    assert command[command.index("--appendonly") + 1] == "yes"
    assert os.access(command[0], os.X_OK)
    assert broker.answers(short_folder / "nobody.sock") is False


def test_a_log_that_cannot_be_read_is_moved_not_deleted(short_folder: Path) -> None:
    log = broker.broker_folder(short_folder) / "appendonlydir"
    log.mkdir(parents=True)
    (log / "file").write_text("broken")
    aside = broker.set_aside(short_folder)
    assert aside is not None
    assert (aside / "file").read_text() == "broken"
    assert not log.exists()
    assert broker.set_aside(short_folder) is None

"""What the one command refuses, in words that say what to do. The rest is in ``flows``."""

import socket
from pathlib import Path

import pytest

from config import supervisor
from tests.plant import free_port


def _refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert supervisor.main(list(words)) == 1
    return capsys.readouterr().err


def test_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = _refusal(capsys, "--bind", f"127.0.0.1:{port}")
    assert f"Port {port} on 127.0.0.1 cannot be used" in said
    assert f"--bind 127.0.0.1:{port + 1}" in said


def test_an_address_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert "write it as 127.0.0.1:8000" in _refusal(capsys, "--bind", "8000")


def test_a_second_start_on_one_data_folder(tmp_path: Path) -> None:
    with (
        supervisor.lock(tmp_path, "127.0.0.1:8000"),
        pytest.raises(supervisor.StartError, match=r"already runs .* http://127.0.0.1:8000/"),
    ):
        supervisor.lock(tmp_path, "127.0.0.1:8001")


def test_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    supervisor.lock(tmp_path, "127.0.0.1:8000").close()
    supervisor.lock(tmp_path, "127.0.0.1:8001").close()


def test_the_demo_for_other_machines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.settings.DEMO", True)
    said = _refusal(capsys, "--bind", f"0.0.0.0:{free_port()}")
    assert "listens on this machine only" in said


def test_a_folder_of_images_without_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert "belongs to the demo" in _refusal(capsys, "--data", "/some/folder")


def test_a_folder_of_images_that_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.settings.DEMO", True)
    assert "There is no folder" in _refusal(capsys, "--data", "/nowhere/at/all")

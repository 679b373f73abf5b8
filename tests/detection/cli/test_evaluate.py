import json
from pathlib import Path

import numpy as np
import pytest

from detection.cli import main
from detection.model import Model, save_model
from tests import images


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own; a person's log is left alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def model(small_model: Model, tmp_path: Path) -> str:
    save_model(small_model, tmp_path / "model")
    return str(tmp_path / "model")


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Three normals and three defects with masks."""
    for name, seed, pixels in [
        *((f"train/good/{seed}", seed, False) for seed in range(1)),
        *((f"test/good/{seed}", seed, False) for seed in range(20, 23)),
        *((f"test/spot/{seed}", seed, True) for seed in range(20, 23)),
    ]:
        part = images.part_pixels(seed, height=160, width=224, defect=pixels)
        _write(tmp_path / "bores" / f"{name}.png", part)
    for seed in range(20, 23):
        mask = images.spot_mask(seed, height=160, width=224).astype(np.uint8) * 255
        _write(tmp_path / "bores" / f"ground_truth/spot/{seed}.png", mask)
    return str(tmp_path / "bores")


def _write(path: Path, pixels: images.UInt8Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode(pixels))


def test_json_has_plain_figures_and_leaves_a_line(
    model: str, data: str, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", model, data, "--json", "--threads", "3"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["image_auroc"] == 1.0
    assert report["intervals"]["image_auroc"] == pytest.approx([0.025 ** (1 / 3), 1.0])
    assert report["runs_logged_on_this_set"] == 1
    assert report["threads"] == 3
    (line,) = (state / "secondlook/evaluations.jsonl").read_text().splitlines()
    run = json.loads(line)
    assert run["folder"] == "bores"
    assert run["seed"] == 3
    assert run["aupro"] == report["aupro"]
    assert run["model_sha256"] == report["model_sha256"]
    assert run["time"].endswith("+00:00")
    assert str(Path(data).parent) not in line
    assert main(["evaluate", model, data, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["runs_logged_on_this_set"] == 2
    assert again["scores"] == report["scores"]
    assert again["intervals"] == report["intervals"]
    (Path(data) / "test/good/22.png").unlink()
    assert main(["evaluate", model, data, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs_logged_on_this_set"] == 1


def test_a_log_of_ones_own_or_none(
    model: str, data: str, state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", model, data, "--log", str(tmp_path / "own/log.jsonl")]) == 0
    told = capsys.readouterr().out
    assert "evaluations logged on this set: 1" in told
    assert "image_auroc       1.0000  95 % interval" in told
    assert main(["evaluate", model, data, "--no-log", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs_logged_on_this_set"] is None
    assert not state.exists()
    assert len((tmp_path / "own/log.jsonl").read_text().splitlines()) == 1


def test_a_log_that_cannot_be_written(
    model: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", model, data, "--log", str(tmp_path)]) == 1
    assert "cannot be written" in capsys.readouterr().err
    (tmp_path / "state").write_text("a file where a folder should be")
    assert main(["evaluate", model, data, "--json"]) == 0
    told = capsys.readouterr()
    assert told.err.startswith("warning: ")
    assert json.loads(told.out)["runs_logged_on_this_set"] is None

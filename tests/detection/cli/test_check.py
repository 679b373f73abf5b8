import json
from pathlib import Path

import pytest

from detection.cli import main
from detection.model import Model, save_model
from detection.synthetic import KINDS, SYNTHETIC_NOTE
from tests.detection.cli.test_thresholds import write


@pytest.fixture
def saved(small_model: Model, tmp_path: Path) -> str:
    save_model(small_model, tmp_path / "model")
    return str(tmp_path / "model")


def test_flat_folder_and_mvtec_layout(
    saved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(700, 703):
        write(tmp_path / f"flat/{seed}.png", seed)
    assert main(["check", saved, str(tmp_path / "flat"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["synthetic"] is True
    assert report["normal"]["n"] == 3
    assert set(report["kinds"]) == set(KINDS)
    for seed in (703, 704):
        write(tmp_path / f"parts/test/good/{seed}.png", seed)
    write(tmp_path / "parts/train/good/1.png", 1)
    write(tmp_path / "parts/test/spot/705.png", 705, defect=True)
    arguments = ["check", saved, str(tmp_path / "parts"), "--seed", "4", "--json"]
    assert main(arguments) == 0
    once = capsys.readouterr().out
    assert json.loads(once)["normal"]["n"] == 2  # the normals of the test folder alone
    assert main(arguments) == 0
    assert capsys.readouterr().out == once


def test_in_words(saved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "flat/a.png", 710)
    assert main(["check", saved, str(tmp_path / "flat")]) == 0
    text = capsys.readouterr().out
    assert text.startswith(SYNTHETIC_NOTE)
    assert "scratch   " in text
    assert "of 1 flagged" in text


def test_no_normals_to_draw_on(
    saved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "parts/train/good/1.png", 1)
    write(tmp_path / "parts/test/spot/705.png", 705, defect=True)
    assert main(["check", saved, str(tmp_path / "parts")]) != 0
    assert "needs normal images" in capsys.readouterr().err

import json
from pathlib import Path
from typing import Any

import pytest

from detection.cli import main
from detection.model import Model, save_model
from tests import images

PRICES = ["--miss", "100", "--stop", "5", "--review", "0.5"]


def write(path: Path, seed: int, *, defect: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode(images.part_pixels(seed, height=160, width=224, defect=defect)))


@pytest.fixture
def saved(small_model: Model, tmp_path: Path) -> str:
    save_model(small_model, tmp_path / "model")
    return str(tmp_path / "model")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """MVTec layout: six normals and three defects of each of two types to test on."""
    data = tmp_path / "parts"
    write(data / "train/good/0.png", 0)
    for seed in range(600, 606):
        write(data / f"test/good/{seed}.png", seed)
    for seed in range(610, 613):
        write(data / f"test/spot/{seed}.png", seed, defect=True)
        write(data / f"test/stain/{seed}.png", seed + 10, defect=True)
    return data


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_a_pair_from_labelled_images(
    saved: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = told(capsys, "thresholds", saved, str(folder), *PRICES)
    assert (report["n_normal"], report["n_defect"], report["n_calibration"]) == (6, 6, 4)
    assert report["chosen_on"] == "parts"
    assert report["basis"] == "few defects"
    assert (report["found"], report["known"]) == (6, 6)
    assert report["detection_at_least"] == pytest.approx(0.05 ** (1 / 6))
    assert report["review_from_probability"] == pytest.approx(0.00630915, abs=1e-8)
    assert report["cost_per_part"] < report["cost_pass_all"] == 0.5
    assert any("report cost and detection on others" in one for one in report["cautions"])


def test_prices_and_limits_reach_the_choice(
    saved: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["thresholds", saved, str(folder), *PRICES]
    plain = told(capsys, *base)
    dearer = told(capsys, *base, "--prior", "0.02", "--miss-of", "spot=900")
    assert dearer["cost_pass_all"] > 4 * plain["cost_pass_all"]
    kept = told(capsys, *base, "--no-reject", "--parts", "1000", "--minutes", "20")
    assert kept["reject_from"] is None
    assert 1000 * kept["review_share"] * 0.5 <= 20
    assert kept["price_of_minute"] >= 0
    strict = told(capsys, *base, "--max-false-alarm", "0.1", "--rejects-reviewed")
    assert strict["false_alarm_rate"] <= 0.1


def test_without_known_defects_it_warns(
    saved: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("spot", "stain"):
        for path in (folder / "test" / kind).iterdir():
            path.unlink()
    report = told(capsys, "thresholds", saved, str(folder), *PRICES)
    assert report["basis"] == "assumed"
    assert report["detection"] is None
    assert report["reject_from"] is None
    assert main(["thresholds", saved, str(folder), *PRICES]) == 0
    text = capsys.readouterr().out
    assert "caution: Assumed: no defect is known" in text
    assert "No promise" in text
    assert "detection unknown" in text
    flat = told(capsys, "thresholds", saved, str(folder / "train/good"), *PRICES)
    assert (flat["n_normal"], flat["n_calibration"], flat["basis"]) == (0, 4, "assumed")


def test_in_words(saved: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = ["--parts", "1000", "--minutes", "200"]
    assert main(["thresholds", saved, str(folder), *PRICES, *limits]) == 0
    text = capsys.readouterr().out
    assert text.startswith("parts: 6 normal and 6 defective images, and 4 calibration normals")
    assert "review from " in text
    assert "6 of 6 known (at least 60.7 %)" in text
    assert "one more minute of review would save" in text
    assert "caution: Only 6 known defects" in text
    free = ["--miss", "0", "--stop", "5", "--review", "1"]
    assert main(["thresholds", saved, str(folder), *free]) == 0
    assert "review none, reject none" in capsys.readouterr().out


def test_normals_unlike_the_calibration_are_named(
    saved: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(20):  # defects among the normals: none is like what was calibrated on
        write(folder / f"test/good/odd-{seed}.png", 800 + seed, defect=True)
    report = told(capsys, "thresholds", saved, str(folder), *PRICES)
    assert report["cautions"][-1].startswith("The first threshold flags 2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--miss", "-1"], "price miss"),
        (["--prior", "0"], "share of defective parts"),
        (["--se", "1.5"], "sensitivity"),
        (["--parts", "100"], "needs both"),
        (["--miss-of", "spot"], "give TYPE=PRICE"),
        (["--miss-of", "dent=5"], "no defects of the type 'dent'"),
        (["--max-false-alarm", "0", "--min-detection", "1"], "false alarms and detection"),
    ],
)
def test_mistakes_are_named(
    saved: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    assert main(["thresholds", saved, str(folder), *PRICES, *arguments]) != 0
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1

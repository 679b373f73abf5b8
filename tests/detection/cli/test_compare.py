import json
from pathlib import Path

import pytest

from detection.cli import main
from tests.detection.evaluation.test_comparison import evaluation, noisy


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name, seed, apart in (("a", 0, 3.0), ("b", 1, 0.5)):
        (tmp_path / f"{name}.json").write_text(json.dumps(evaluation(noisy(seed, apart))))
    return [str(tmp_path / "a.json"), str(tmp_path / "b.json")]


def test_which_is_better(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *files, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["image_auroc"]["interval"][0] > 0
    assert told["detection_rate"]["n"] == 20
    assert main(["compare", *files]) == 0
    words = capsys.readouterr().out
    assert "40 normal and 20 defective images" in words
    assert "a better in" in words
    assert "McNemar" in words
    assert main(["compare", files[0], files[0]]) == 0
    words = capsys.readouterr().out
    assert "the same in every draw" in words
    assert "no difference seen in 20 images" in words


def test_mistakes_end_in_one_line(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.json").write_text("no JSON")
    (tmp_path / "list.json").write_text("[1, 2]")
    for name, words in (("text", "not JSON"), ("list", "no evaluation"), ("missing", "missing")):
        assert main(["compare", files[0], str(tmp_path / f"{name}.json")]) != 0
        told = capsys.readouterr().err
        assert words in told
        assert told.count("\n") == 1

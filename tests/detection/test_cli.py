import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detection.cli import main
from detection.model import Model, save_model
from tests import images


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode(pixels))
    return path


def part(seed: int, *, defect: bool = False) -> images.UInt8Array:
    return images.part_pixels(seed, height=160, width=224, defect=defect)


@pytest.fixture
def model_folder(small_model: Model, tmp_path: Path) -> Path:
    save_model(small_model, tmp_path / "model")
    return tmp_path / "model"


def test_fit_then_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    for seed in range(6):
        write(data / f"train/good/{seed}.png", part(seed))
    for seed in range(20, 23):
        write(data / f"test/good/{seed}.png", part(seed))
        write(data / f"test/spot/{seed}.png", part(seed, defect=True))
        mask = images.spot_mask(seed, height=160, width=224).astype(np.uint8) * 255
        write(data / f"ground_truth/spot/{seed}.png", mask)
    out = tmp_path / "model"
    assert main(["fit", str(data), "--out", str(out), "--preset", "fast", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["n_normal"] == 6
    assert told["calibration"]["kind"] == "left-out images"
    assert main(["evaluate", str(out), str(data), "--json", "--no-log"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["image_auroc"] == 1.0
    assert report["pixel_auroc"] > 0.9
    assert 0.0 < report["aupro"] <= 1.0
    assert main(["evaluate", str(out), str(data), "--no-log"]) == 0
    assert "image_auroc" in capsys.readouterr().out


def test_score_with_pictures(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = write(tmp_path / "odd.png", part(90, defect=True))
    fine = write(tmp_path / "fine.png", part(91))
    heat, mask = tmp_path / "heat", tmp_path / "mask"
    arguments = ["--json", "--heatmap", str(heat), "--mask", str(mask)]
    assert main(["score", str(model_folder), str(odd), str(fine), *arguments]) == 0
    report = json.loads(capsys.readouterr().out)
    scores = [line["score"] for line in report["images"]]
    assert scores[0] > scores[1]
    assert report["images"][0]["regions"]
    assert report["images"][0]["explanation"]["normal_id"].startswith("part-")
    drawn = np.asarray(Image.open(mask / "odd.png"))
    assert drawn.shape == (160, 224)
    assert set(np.unique(drawn)) == {0, 255}
    assert np.asarray(Image.open(heat / "odd.png")).shape == (160, 224, 3)
    single = tmp_path / "single.png"
    assert main(["score", str(model_folder), str(odd), "--mask", str(single)]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(single)), drawn)
    assert "surprise" in capsys.readouterr().out


def test_mistakes_end_in_one_line(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "one/a.png", part(1))
    for name in "abc":
        write(tmp_path / f"same/{name}.png", part(1))
        write(tmp_path / f"deep/{name}.png", np.full((64, 64), 4000, np.uint16))
        write(tmp_path / f"tiny/{name}.png", part(ord(name))[:20, :20])
        write(tmp_path / f"flat/{name}.png", np.full((64, 64, 3), ord(name), np.uint8))
    for name in "ac":
        write(tmp_path / f"broken/{name}.png", part(ord(name)))
    (tmp_path / "broken/b.png").write_bytes(images.encode(part(2))[:900])
    out = tmp_path / "out"
    cases = [
        (["fit", str(tmp_path / "nowhere")], "nowhere"),
        (["fit", str(tmp_path / "empty")], "empty"),
        (["fit", str(tmp_path / "one")], "at least 3 normal images"),
        (["fit", str(tmp_path / "same")], "same picture"),
        (["fit", str(tmp_path / "deep")], "a.png"),
        (["fit", str(tmp_path / "tiny")], "at least 32"),
        (["fit", str(tmp_path / "broken")], "b.png"),
        (["fit", str(tmp_path / "same"), "--method", "magic"], "magic"),
        (["fit", str(tmp_path / "same"), "--preset", "huge"], "preset"),
    ]
    for arguments, words in cases:
        assert main([*arguments, "--out", str(out)]) == 1, arguments
        told = capsys.readouterr()
        assert words in told.err, told.err
        assert told.err.count("\n") == 1
        assert not out.exists()
    for arguments in (
        ["score", str(tmp_path / "empty"), "x.png"],
        ["score", str(model_folder), str(tmp_path / "broken/b.png")],
        ["score", str(model_folder), str(tmp_path / "missing.png")],
        ["score", str(model_folder), str(tmp_path / "tiny/a.png")],
        ["evaluate", str(model_folder), str(tmp_path / "one")],
    ):
        assert main(arguments) == 1, arguments
        assert capsys.readouterr().err.startswith("error: ")


def test_grey_and_mixed_sizes_are_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "in/a.png", part(1)[:, :, 0])
    write(tmp_path / "in/b.png", part(2)[:128, :])
    write(tmp_path / "in/c.png", part(3)[:, :96])
    arguments = ["fit", str(tmp_path / "in"), "--out", str(tmp_path / "m"), "--preset", "fast"]
    assert main(arguments) == 0
    assert "3 normal images" in capsys.readouterr().out

import json
from pathlib import Path

import numpy as np
import pytest

from detection.backbones.engines import Widths
from detection.evaluation import LabelledSource, evaluate
from detection.model import fit_model
from detection.mvtec import read_folder
from detection.protocol import Float32Array, UInt8Array
from detection.sources import Subset
from tests import images
from tests.detection.conftest import SMALL
from tests.measure.accuracy import (
    RememberingEngine,
    half_named,
    half_of,
    main,
    measure,
    summary_of,
    table_of,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six normals to fit on, three more and three defects with masks to test on."""
    root = tmp_path_factory.mktemp("data") / "bores"
    for name, seeds, defect in (
        ("train/good", range(6), False),
        ("test/good", range(20, 23), False),
        ("test/spot", range(30, 33), True),
    ):
        for seed in seeds:
            part = images.part_pixels(seed, height=96, width=160, defect=defect)
            _write(root / name / f"{seed}.png", part)
            if defect:
                mask = images.spot_mask(seed, height=96, width=160).astype(np.uint8) * 255
                _write(root / "ground_truth/spot" / f"{seed}.png", mask)
    return root


def _write(path: Path, pixels: UInt8Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode(pixels))


def test_a_few_normals_many_times_score_as_if_each_were_alone(folder: Path) -> None:
    reports = measure(
        folder,
        config=SMALL,
        calibrate="held-out",
        seeds=[4],
        few=3,
        draws=2,
        half=None,
        log=folder.parent / "log.jsonl",
    )
    assert [report["runs_logged_on_this_set"] for report in reports] == [1, 2]
    found = read_folder(folder)
    assert found.labelled is not None
    for draw, report in enumerate(reports):
        rng = np.random.default_rng([4, draw])
        numbers = np.sort(rng.choice(6, 3, replace=False))
        ids = [found.normals.ids[k] for k in numbers]
        alone = fit_model(Subset(found.normals, numbers), ids=ids, config=SMALL, seed=4 + draw)
        plain = evaluate(alone, found.labelled).to_json()
        assert report["scores"] == plain["scores"]
        assert report["aupro"] == plain["aupro"]
    assert reports[0]["ms_per_image"] > 0
    assert reports[1]["ms_per_image"] is None
    table = table_of({"bores": summary_of(reports)})
    assert table.splitlines()[2].startswith("| bores | 2 | ")


def test_the_command_writes_what_it_found(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    arguments = ["--data", str(folder.parent), "--sets", "bores", "--seeds", "3"]
    arguments += ["--config", str(tmp_path / "config.json"), "--out", str(tmp_path / "out.json")]
    assert main([*arguments, "--evaluations", str(tmp_path / "each")]) == 0
    assert capsys.readouterr().out.count("\n") == 3
    study = json.loads((tmp_path / "out.json").read_text())
    mean = study["summary"]["bores"]["image_auroc"]["mean"]
    assert mean == study["runs"]["bores"][0]["image_auroc"]
    assert "scores" not in study["runs"]["bores"][0]
    whole = json.loads((tmp_path / "each/bores-seed-3.json").read_text())
    assert len(whole["scores"]) == 6
    assert main([*arguments[:2], "--sets", "bores,lost"]) == 2
    assert "holds no set lost" in capsys.readouterr().err
    assert main([*arguments[:4], "--few", "7"]) == 2
    assert "fewer than the 7" in capsys.readouterr().err


def test_halves_follow_from_names_and_share_nothing(folder: Path) -> None:
    names = [f"test/good/{number:03}.png" for number in range(400)]
    chosen = [name for name in names if half_named(name) == "choose"]
    assert 160 < len(chosen) < 240
    assert {half_named(name) for name in names} == {"choose", "report"}
    # By the bare name, wherever the folder lies.
    assert all(half_named(name) == half_named(f"/data/tile/{name}") for name in names)
    assert all(half_named(name) == half_named(name.rpartition("/")[2]) for name in names)
    labelled = read_folder(folder).labelled
    assert labelled is not None
    assert half_of(labelled, None) is labelled
    halves = [half_of(labelled, half) for half in ("choose", "report")]
    assert sorted([*halves[0].ids, *halves[1].ids]) == sorted(labelled.ids)
    whole = {item.id: item for item in labelled}
    for half in halves:
        for item in half:
            same = whole[item.id]
            np.testing.assert_array_equal(item.image, same.image)
            assert (item.is_defect, item.defect_type) == (same.is_defect, same.defect_type)
            assert (item.mask is None) == (same.mask is None)
            if item.mask is not None and same.mask is not None:
                np.testing.assert_array_equal(item.mask, same.mask)


def test_a_half_without_masks() -> None:
    names = [f"{number}.png" for number in range(8)]
    pictures = [images.part_pixels(number) for number in range(8)]
    half = half_of(LabelledSource(pictures, [False] * 8, ids=names), "choose")
    assert [item.id for item in half] == [name for name in names if half_named(name) == "choose"]
    assert half.masks is None


class CountingEngine:
    """Gives the mean of each channel as its only view."""

    name = "counting"
    multiple = 32
    widths: Widths = ((3,),)

    def __call__(self, image: UInt8Array) -> list[Float32Array]:
        return [image.mean(axis=(0, 1), dtype=np.float32)[None, None]]


def test_the_network_is_asked_once_for_an_image() -> None:
    engine = RememberingEngine(CountingEngine())
    first = images.part_pixels(1)
    assert engine.widths == ((3,),)
    views = engine(first)
    views[0][:] = -1  # the arrays are the caller's
    again = engine(first.copy())
    assert engine.asked == 1
    np.testing.assert_array_equal(again[0], CountingEngine()(first)[0])
    for number in range(2, 80):
        engine(images.part_pixels(number, height=32, width=48))
    engine(first)
    assert engine.asked == 80

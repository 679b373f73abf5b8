import json
from pathlib import Path

import numpy as np
import pytest

from detection import artifact
from detection.manifest import MANIFEST_NAME, ArtifactError, read_manifest
from detection.model import Model, load_model, save_model
from tests import images


@pytest.fixture
def saved(small_model: Model, tmp_path: Path) -> Path:
    save_model(small_model, tmp_path / "model")
    return tmp_path / "model"


def test_save_and_load_are_equal_to_the_bit(small_model: Model, saved: Path) -> None:
    loaded = load_model(saved)
    for seed, defect in ((60, False), (61, True)):
        image = images.part_pixels(seed, height=192, width=160, defect=defect)
        ours, theirs = small_model.score(image), loaded.score(image)
        assert ours.score == theirs.score
        assert ours.surprise == theirs.surprise
        assert ours.regions == theirs.regions
        assert ours.explanation == theirs.explanation
        np.testing.assert_array_equal(ours.map, theirs.map)
        np.testing.assert_array_equal(ours.embedding, theirs.embedding)
    assert small_model.calibration.to_json() == loaded.calibration.to_json()
    assert loaded.pixel_threshold == small_model.pixel_threshold
    assert loaded.heat_range == small_model.heat_range
    assert save_model(loaded, saved.parent / "again") == read_manifest(saved)


def test_manifest_says_what_it_is(saved: Path) -> None:
    manifest = read_manifest(saved)
    assert manifest.method == "patchcore"
    assert manifest.backbone == "tf_efficientnet_lite0"
    calibration = dict(manifest.calibration)
    assert len(calibration.pop("ids")) == 4
    assert calibration == {
        "kind": "held-out images", "count": 4, "groups": 0, "lot_names": [],
    }  # fmt: skip
    assert "numpy" in manifest.packages
    assert manifest.seed == 3
    assert set(manifest.parts) | {MANIFEST_NAME} == {path.name for path in saved.iterdir()}


def test_every_altered_part_is_named(saved: Path) -> None:
    for path in sorted(saved.glob("*.safetensors")):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(ArtifactError, match=path.name) as caught:
            load_model(saved)
        assert caught.value.part == path.name
        path.unlink()
        with pytest.raises(ArtifactError, match=rf"{path.name}: is missing"):
            load_model(saved)
        path.write_bytes(whole)
    load_model(saved)


def test_an_altered_manifest_and_strange_files_are_refused(saved: Path) -> None:
    path = saved / MANIFEST_NAME
    whole = path.read_text(encoding="utf-8")
    data = json.loads(whole)
    for change in (
        {"pixel_threshold": 0.0},
        {"format_version": 99},
        {"parts": {"../x": "0"}},
        {"extra": 1},
    ):
        path.write_text(json.dumps({**data, **change}), encoding="utf-8")
        with pytest.raises(ArtifactError, match=MANIFEST_NAME):
            load_model(saved)
    for text in ("", "[]", '{"format_version": 1'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ArtifactError, match=MANIFEST_NAME):
            read_manifest(saved)
    path.write_text(whole, encoding="utf-8")
    (saved / "stray.bin").write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"stray\.bin"):
        load_model(saved)


def test_no_model_there(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no saved model"):
        load_model(tmp_path)


def test_a_model_is_replaced_and_anything_else_left_alone(small_model: Model, saved: Path) -> None:
    before = read_manifest(saved)
    save_model(small_model.with_metrics({"image_auroc": 0.5}), saved)
    after = read_manifest(saved)
    assert after.metrics == {"image_auroc": 0.5}
    assert after.sha256 != before.sha256
    folder = saved.parent / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"precious")
    with pytest.raises(ArtifactError, match="not a saved model"):
        save_model(small_model, folder)
    assert [path.name for path in folder.iterdir()] == ["a.png"]
    assert sorted(path.name for path in saved.parent.iterdir()) == ["model", "photos"]


def test_a_failed_save_leaves_the_old_model_and_nothing_else(
    small_model: Model, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_manifest(saved)

    def fail(manifest: object, directory: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(artifact, "write_manifest", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(small_model, saved)
    assert read_manifest(saved) == before
    assert [path.name for path in saved.parent.iterdir()] == ["model"]

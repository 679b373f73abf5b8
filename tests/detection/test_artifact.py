import hashlib
import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from detection import artifact
from detection.artifact import check_target
from detection.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    ArtifactError,
    check_parts,
    file_sha256,
    read_manifest,
    read_parts,
)
from detection.model import Model, load_model, save_model
from detection.saved_banks import read_provenance
from tests import images


def rewrite_manifest(folder: Path, **changes: object) -> None:
    """What an attacker does: change fields, and make every digest fit again."""
    path = folder / MANIFEST_NAME
    data = json.loads(path.read_text(encoding="utf-8"))
    data["parts"] = {part.name: file_sha256(part) for part in folder.glob("*.safetensors")}
    data |= changes
    rest = {key: value for key, value in data.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    data["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


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
    for text in ("", "[]", '{"format_version": 1', '{"format_version": true}', "[" * 200_000):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ArtifactError, match=MANIFEST_NAME):
            read_manifest(saved)
    path.write_text(whole, encoding="utf-8")
    (saved / "stray.bin").write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"stray\.bin"):
        load_model(saved)


def test_any_byte_of_any_file_counts(saved: Path) -> None:
    names = sorted(path.name for path in saved.iterdir())

    @settings(max_examples=60, deadline=None)
    @given(
        name=st.sampled_from(names),
        share=st.floats(0.0, 1.0, exclude_max=True),
        flip=st.integers(1, 255),
        keep=st.none() | st.floats(0.0, 1.0, exclude_max=True),
    )
    def refused(name: str, share: float, flip: int, keep: float | None) -> None:
        whole = (saved / name).read_bytes()
        if keep is None:
            content = bytearray(whole)
            content[int(share * len(whole))] ^= flip
        else:
            content = bytearray(whole[: int(keep * len(whole))])
        (saved / name).write_bytes(content)
        try:
            with pytest.raises(ArtifactError) as caught:
                load_model(saved)
        finally:
            (saved / name).write_bytes(whole)
        assert caught.value.part == name

    refused()
    read_parts(saved)


def test_a_manifest_in_other_words_is_another_manifest(saved: Path) -> None:
    """The same JSON with a space more, or a key twice, is not what was written."""
    path = saved / MANIFEST_NAME
    whole = path.read_text(encoding="utf-8")
    for text in (whole + " ", whole.replace("{", '{"seed": 3,', 1)):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ArtifactError, match="was changed after"):
            read_manifest(saved)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pixel_threshold", "low"),
        ("pixel_threshold", True),
        pytest.param("pixel_threshold", 10**400, id="beyond every float"),
        ("heat_range", [2.0, 1.0]),
        ("heat_range", [1.0]),
        ("heat_range", 5.0),
        ("config", []),
        ("seed", "3"),
        ("parts", {"a.safetensors": 5}),
        ("parts", {"../a.safetensors": "0" * 64}),
        ("parts", {"": "0" * 64}),
        ("calibration", None),
    ],
)
def test_a_manifest_with_a_wrong_field_is_refused(saved: Path, field: str, value: object) -> None:
    """Even where its own digest fits."""
    rewrite_manifest(saved, **{field: value})
    with pytest.raises(ArtifactError):
        load_model(saved)


def test_numbers_that_are_none_are_neither_read_nor_written(
    small_model: Model, saved: Path
) -> None:
    path = saved / MANIFEST_NAME
    text = path.read_text(encoding="utf-8")
    for word in ("NaN", "Infinity", "-Infinity", "1e999"):
        path.write_text(text.replace('"seed": 3', f'"seed": {word}'), encoding="utf-8")
        with pytest.raises(ArtifactError, match=MANIFEST_NAME):
            read_manifest(saved)
    with pytest.raises(ArtifactError, match="cannot be written"):
        save_model(replace(small_model, pixel_threshold=float("nan")), saved.parent / "other")
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_a_manifest_beyond_any_use_is_not_read(saved: Path) -> None:
    with (saved / MANIFEST_NAME).open("r+b") as file:
        file.truncate(MAX_MANIFEST_BYTES + 1)
    with pytest.raises(ArtifactError, match="is over 64 MB"):
        read_manifest(saved)


def test_links_and_pipes_are_no_parts(saved: Path) -> None:
    part = saved / "images.safetensors"
    outside = saved.parent / "outside"
    part.rename(outside)
    part.symlink_to(outside)
    with pytest.raises(ArtifactError, match=r"images\.safetensors: is a link"):
        load_model(saved)
    with pytest.raises(ArtifactError, match=r"images\.safetensors: is a link"):
        check_parts(read_manifest(saved), saved)
    part.unlink()
    os.mkfifo(part)
    with pytest.raises(ArtifactError, match=r"images\.safetensors: is not a plain file"):
        load_model(saved)
    part.unlink()
    part.mkdir()
    with pytest.raises(ArtifactError, match=r"images\.safetensors"):
        load_model(saved)


def test_a_renamed_part_is_named(saved: Path) -> None:
    (saved / "scorer1.safetensors").rename(saved / "scorer3.safetensors")
    with pytest.raises(ArtifactError, match=r"scorer3\.safetensors: does not belong"):
        load_model(saved)


def test_a_model_of_the_format_before_says_to_fit_again(saved: Path) -> None:
    rewrite_manifest(saved, format_version=FORMAT_VERSION - 1)
    for read in (load_model, read_manifest, read_provenance):
        with pytest.raises(ArtifactError, match=r"manifest\.json: is of format .*Fit the model"):
            read(saved)


def test_a_file_is_no_model(saved: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no saved model"):
        load_model(saved / MANIFEST_NAME)


def test_parts_that_fit_their_digests_must_still_make_sense(saved: Path) -> None:
    """Whoever can change a part can write its digest, too."""
    name = "scorer0.safetensors"
    whole = (saved / name).read_bytes()
    arrays = load(whole)
    odd = arrays["bank"].copy()
    odd[3, 1] = np.nan
    for content, words in (
        (b"", "cannot be read"),
        (whole[:-8], "cannot be read"),
        (b"\xff" * 8 + whole[8:], "cannot be read"),
        (save({**arrays, "bank": odd}), "bank holds values that are not finite"),
        (save({**arrays, "bank": arrays["bank"][:, :5].copy()}), "whitening_matrix has the shape"),
    ):
        (saved / name).write_bytes(content)
        rewrite_manifest(saved)
        with pytest.raises(ArtifactError, match=f"{name}: {words}"):
            load_model(saved)
    rewrite_manifest(saved, parts={})
    with pytest.raises(ArtifactError, match="does not belong"):
        load_model(saved)


def test_a_graph_that_is_none_is_refused(saved: Path) -> None:
    arrays = {"xml": np.frombuffer(b"<net>", np.uint8), "weights": np.ones(4, np.uint8)}
    (saved / "backbone.safetensors").write_bytes(save(arrays))
    rewrite_manifest(saved)
    with pytest.raises(ArtifactError, match="describes no model that can be used"):
        load_model(saved)


def test_a_bank_of_another_backbone_is_named(saved: Path) -> None:
    name = "scorer0.safetensors"
    arrays = load((saved / name).read_bytes())
    arrays["whitening_mean"] = arrays["whitening_mean"][:-3].copy()
    arrays["whitening_matrix"] = arrays["whitening_matrix"][:-3].copy()
    (saved / name).write_bytes(save(arrays))
    rewrite_manifest(saved)
    with pytest.raises(ArtifactError, match=f"{name}: was learned from another backbone"):
        load_model(saved)


def test_a_reader_gets_the_old_model_or_the_new_one(small_model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    models = [small_model.with_metrics({"turn": turn}) for turn in range(2)]
    known = {save_model(model, folder).sha256 for model in models}
    stop = threading.Event()
    seen: list[str] = []
    failed: list[ArtifactError] = []

    def read() -> None:
        while not stop.is_set():
            try:
                seen.append(read_parts(folder)[0].sha256)
            except ArtifactError as error:
                failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(12):
        save_model(models[turn % 2], folder)
    stop.set()
    reader.join()
    assert failed == []
    assert seen
    assert set(seen) <= known
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_model_is_replaced_where_directories_cannot_be_exchanged(
    small_model: Model, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "_exchange", lambda *_: False)
    save_model(small_model.with_metrics({"image_auroc": 0.5}), saved)
    assert read_manifest(saved).metrics == {"image_auroc": 0.5}
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_a_link_to_a_model_keeps_pointing_at_it(small_model: Model, saved: Path) -> None:
    current = saved.parent / "current"
    current.symlink_to("model")
    save_model(small_model.with_metrics({"image_auroc": 0.5}), current)
    assert current.is_symlink()
    assert read_manifest(saved).metrics == {"image_auroc": 0.5}


def test_everyone_may_read_a_saved_model(saved: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in saved.iterdir()} == {0o644}


def test_another_programs_manifest_is_left_alone(small_model: Model, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / MANIFEST_NAME).write_text('{"name": "web app"}')
    (site / "index.html").write_text("precious")
    with pytest.raises(ArtifactError, match="not a saved model"):
        save_model(small_model, site)
    with pytest.raises(ArtifactError, match="not a saved model"):
        check_target(site / "index.html")
    (tmp_path / "empty").mkdir()
    check_target(tmp_path / "empty")
    assert sorted(path.name for path in site.iterdir()) == ["index.html", MANIFEST_NAME]


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

import numpy as np
import pytest

from detection.calibration import KIND_IMAGES, KIND_LEFT_OUT, KIND_LOTS
from detection.model import Model, best_iou_threshold, fit_model, normal_pixel_range
from detection.protocol import DetectionError
from detection.sources import Subset
from tests import images
from tests.detection.conftest import SMALL, Parts


def test_pixel_range_of_normals() -> None:
    pixels = np.linspace(0, 1000, 10_001).astype(np.float32)
    threshold, top = normal_pixel_range(pixels)
    assert threshold == pytest.approx(999.5, abs=0.05)
    assert top == pytest.approx(999.5 + 499.5, abs=0.1)
    threshold, top = normal_pixel_range(np.full(10, 2.0, np.float32))
    assert threshold == 2.0
    assert top > threshold


def test_best_iou_threshold_by_hand() -> None:
    heat = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)
    mask = np.array([[False, False, False], [False, True, True]])
    assert best_iou_threshold(iter([heat]), [mask]) == 4.5
    mask[0, 0] = True  # taking in all of it would cost more than it gains
    assert best_iou_threshold(iter([heat]), [mask]) == 4.5
    with pytest.raises(DetectionError, match="No mask"):
        best_iou_threshold(iter([heat]), [None])


def test_subset_walks_in_order() -> None:
    parts = Parts(range(6))
    chosen = list(Subset(parts, np.array([1, 2, 5])))
    for seed, image in zip((1, 2, 5), chosen, strict=True):
        np.testing.assert_array_equal(image, images.part_pixels(seed, height=160, width=224))


def test_model_holds_out_and_scores(small_model: Model) -> None:
    assert small_model.calibration.kind == KIND_IMAGES
    assert len(small_model.calibration.scores) == 4
    assert (np.diff(small_model.calibration.scores) >= 0).all()
    assert len({*small_model.calibration.ids}) == 4
    assert small_model.calibration.groups == 0
    low, high = small_model.heat_range
    assert low == small_model.pixel_threshold < high
    result = small_model.score(images.part_pixels(77, height=160, width=224, defect=True))
    assert result.surprise == pytest.approx(1 / 5)
    assert result.map.shape == (160, 224)
    assert result.regions
    left, top, right, bottom = result.regions[0].box_xyxy
    rows, cols = np.nonzero(images.spot_mask(77, height=160, width=224))
    assert left < cols.mean() < right
    assert top < rows.mean() < bottom
    assert result.region_embedding is not None
    assert result.region_embedding.shape == result.embedding.shape
    assert not np.allclose(result.region_embedding, result.embedding)


def test_normal_image_is_no_surprise(small_model: Model) -> None:
    surprises = [result.surprise for result in small_model.score_many(Parts(range(300, 310)))]
    assert max(surprises) > 0.3


def test_threshold_from_masks(small_model: Model) -> None:
    parts = Parts(range(400, 404), defect=True)
    masks = [images.spot_mask(seed, height=160, width=224) for seed in parts.seeds]
    better = small_model.with_best_pixel_threshold(parts, masks)

    def iou(threshold: float) -> float:
        hot = [scored.map > threshold for scored in small_model.detector.score(parts)]
        both = sum(int((h & m).sum()) for h, m in zip(hot, masks, strict=True))
        return both / sum(int((h | m).sum()) for h, m in zip(hot, masks, strict=True))

    assert iou(better.pixel_threshold) >= iou(small_model.pixel_threshold)
    assert better.heat_range[0] == better.pixel_threshold


def test_few_images_are_each_left_out() -> None:
    notes: list[str] = []
    model = fit_model(
        Parts(range(5)),
        ids=list("abcde"),
        config={**SMALL, "preset": "fast"},
        on_progress=lambda done, total, note: notes.append(note),
    )
    assert model.calibration.kind == KIND_LEFT_OUT
    assert len(model.calibration.scores) == 5
    assert {"reading images", "calibrating"} <= set(notes)


def test_lots_reach_the_calibration() -> None:
    groups = ["monday", "monday", "tuesday", "monday", "monday"]
    model = fit_model(
        Parts(range(5)), ids=list("abcde"), groups=groups, config={**SMALL, "preset": "fast"}
    )
    assert (model.calibration.kind, model.calibration.groups) == (KIND_LOTS, 1)
    assert len(model.calibration.scores) == 1
    assert model.calibration.lot_names == ("tuesday",)
    assert model.calibration.ids == ("c",)


def test_the_detector_is_the_same_however_it_is_calibrated() -> None:
    few = Parts(range(4))
    settings: dict[str, object] = {**SMALL, "preset": "fast"}
    models = [
        fit_model(few, ids=list("abcd"), config=settings, may_calibrate=marks)
        for marks in (None, [True, True, False, False])
    ]
    assert [len(model.calibration.scores) for model in models] == [4, 2]
    states = [model.detector.to_artifact().tensors for model in models]
    for part, tensors in states[0].items():
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, states[1][part][name], err_msg=name)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"ids": ["a"]}, "as many ids"),
        ({"ids": ["a", "b", "c"], "groups": ["x"]}, "as many ids"),
        ({"ids": ["a", "b", "c"], "method": "magic"}, "no method 'magic'"),
        ({"ids": ["a", "b", "c"], "config": {"sped": 1}}, "sped"),
    ],
)
def test_says_what_is_wrong(kwargs: dict[str, object], words: str) -> None:
    with pytest.raises(DetectionError, match=words):
        fit_model(Parts(range(3)), **kwargs)  # type: ignore[arg-type]

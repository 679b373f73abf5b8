import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from detection.evaluation import (
    Evaluation,
    LabelledSource,
    OperatingPoint,
    Rate,
    ScoredImage,
    evaluate,
)
from detection.protocol import DetectionError, Float32Array, Float64Array, UInt8Array
from detection.statistics import FirstThreshold, clopper_pearson, first_threshold
from tests.images import part_pixels, spot_mask


@dataclass(frozen=True)
class FakeCalibration:
    scores: Float64Array

    def first_threshold(self) -> FirstThreshold:
        return first_threshold(self.scores, kind="held-out images", lots=0)


@dataclass(frozen=True)
class FakeResult:
    score: float
    map: Float32Array


class DarknessModel:
    """Scores by how much darker than its usual grey the ring is: finds the dark spot."""

    calibration = FakeCalibration(np.arange(20, dtype=np.float64))
    pixel_threshold = 30.0

    def score(self, image: UInt8Array) -> FakeResult:
        usual = part_pixels(99).astype(np.float32)
        darker = np.clip(usual - image, 0, None).mean(axis=2)
        return FakeResult(float(np.sort(darker.ravel())[-80:].mean()), darker)


class Parts:
    """Six normal and four defective parts, made on each walk."""

    def __len__(self) -> int:
        return 10

    def __iter__(self) -> Iterator[UInt8Array]:
        for seed in range(10):
            yield part_pixels(seed, defect=seed >= 6)


LABELS = [seed >= 6 for seed in range(10)]


def labelled(*, masks: bool = True) -> LabelledSource:
    return LabelledSource(
        Parts(),
        LABELS,
        ids=[f"part {seed}" for seed in range(10)],
        defect_types=["", "", "", "", "", "", "spot", "spot", "spot", "dent"],
        masks=[spot_mask(seed) if seed >= 6 else None for seed in range(10)] if masks else None,
    )


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(DarknessModel(), labelled())


def test_counts_and_figures(evaluation: Evaluation) -> None:
    assert (evaluation.normals, evaluation.defects, evaluation.without_mask) == (6, 4, 0)
    own = [DarknessModel().score(image).score for image in Parts()]
    assert [line.score for line in evaluation.scores] == own
    assert evaluation.image_auroc == np.mean(
        [[defect > normal for normal in own[:6]] for defect in own[6:]]
    )
    assert evaluation.pixel_auroc is not None
    assert evaluation.pixel_auroc > 0.9
    assert evaluation.aupro is not None
    assert 0.5 < evaluation.aupro <= 1


def test_threshold_comes_from_calibration_not_from_labels(evaluation: Evaluation) -> None:
    assert (
        evaluation.point.threshold == 19.0001
    )  # the next number of six digits above the normal 19
    total = evaluation.point.confusion
    assert total.found + total.missed == 4
    assert total.false_alarms + total.passed == 6


def test_given_threshold_and_rates() -> None:
    point = evaluate(DarknessModel(), labelled(), threshold=-1.0).point
    assert point.detection_rate == Rate(4, 4)
    assert point.false_alarm_rate == Rate(6, 6)
    assert point.detection_by_type == {"dent": Rate(1, 1), "spot": Rate(3, 3)}


def test_places_at_the_pixel_threshold(evaluation: Evaluation) -> None:
    counts = evaluation.regions
    assert (counts.marked, counts.hit, counts.half_hit, counts.right) == (4, 4, 4, 4)
    marks = [spot_mask(seed) for seed in range(6, 10)]
    hot = [DarknessModel().score(image).map > 30 for image in Parts()]
    overlap = sum(int((mark & heat).sum()) for mark, heat in zip(marks, hot[6:], strict=True))
    union = sum(int(mark.sum()) for mark in marks) + sum(int(heat.sum()) for heat in hot) - overlap
    assert (counts.overlap_px, counts.union_px) == (overlap, union)
    assert evaluation.to_json()["pixel_iou"] == pytest.approx(overlap / union)


def test_json_holds_plain_figures_on_top_and_details_beside(evaluation: Evaluation) -> None:
    back = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    for name in (
        "image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro", "aupro_05", "f1_best",
        "f1_best_threshold", "detection_rate", "false_alarm_rate", "pixel_iou", "region_recall",
        "region_recall_half", "region_precision", "ms_per_image", "p95_ms", "threshold",
        "pixel_threshold",
    ):  # fmt: skip
        assert isinstance(back[name], int | float), name
    assert back["image_auroc"] == evaluation.image_auroc
    assert back["detection_rate"] == back["rates"]["detection_rate"]["value"]
    assert back["rates"]["detection_rate"]["n"] == 4
    assert back["intervals"]["detection_rate"] == pytest.approx(
        [back["rates"]["detection_rate"]["low"], back["rates"]["detection_rate"]["high"]]
    )
    for name in ("pixel_auroc", "aupro", "pixel_iou"):
        low, high = back["intervals"][name]
        assert low < back[name] < high
    assert back["bootstrap"] == {"draws": 1000, "seed": 0}
    assert back["ms_per_image"] <= back["p95_ms"]
    assert len(back["scores"]) == 10


def test_json_of_curves_counts_at_every_point(evaluation: Evaluation) -> None:
    back = evaluation.to_json()
    assert back["roc"][0] == {
        "false_alarm_rate": 0, "detection_rate": 0, "threshold": None,
        "found": 0, "missed": 4, "false_alarms": 0, "passed": 6,
    }  # fmt: skip
    for point in (*back["roc"], *back["precision_recall"]):
        at = np.inf if point["threshold"] is None else point["threshold"]
        assert point["found"] == sum(
            line.is_defect and line.score >= at for line in evaluation.scores
        )
        assert point["false_alarms"] + point["passed"] == 6
    for point in back["precision_recall"][1:]:
        flagged = point["found"] + point["false_alarms"]
        assert point["precision"] == point["found"] / flagged


def test_detection_by_area_of_the_defect() -> None:
    # Scores fall with the area: the smallest defects are missed.
    lines = [ScoredImage(f"defect {k}", float(k), True, "spot", (k + 1) / 100) for k in range(12)]
    lines += [ScoredImage("no mask", 0.0, True, "spot"), ScoredImage("fine", 0.5, False, "")]
    point = OperatingPoint.of(lines, 3.0)
    assert [group.rate for group in point.detection_by_area] == [
        Rate(0, 2), Rate(2, 3), Rate(2, 2), Rate(3, 3), Rate(2, 2),
    ]  # fmt: skip
    smallest = point.smallest_tenth
    assert smallest is not None
    assert smallest.to_json() == {
        "area_from": 0.01, "area_to": 0.02, "found": 0, "n": 2, "value": 0.0, "low": 0.0,
        "high": pytest.approx(clopper_pearson(0, 2).high), "image_auroc": 0.5,
    }  # fmt: skip
    assert point.detection_rate == Rate(9, 13)
    bare = OperatingPoint.of(lines[-2:], 3.0)
    assert (bare.detection_by_area, bare.smallest_tenth) == ((), None)


def test_area_is_the_marked_share_of_the_image(evaluation: Evaluation) -> None:
    areas = [line.area_share for line in evaluation.scores]
    assert areas[:6] == [None] * 6
    assert areas[6:] == [pytest.approx(spot_mask(seed).mean()) for seed in range(6, 10)]


def test_same_seed_same_intervals(evaluation: Evaluation) -> None:
    assert evaluate(DarknessModel(), labelled()).intervals == evaluation.intervals
    other = evaluate(DarknessModel(), labelled(), seed=1, draws=50)
    assert other.intervals["pixel_iou"] != evaluation.intervals["pixel_iou"]
    assert other.to_json()["bootstrap"] == {"draws": 50, "seed": 1}


def test_defects_without_masks_are_counted_and_left_out() -> None:
    evaluation = evaluate(DarknessModel(), labelled(masks=False))
    assert evaluation.without_mask == 4
    assert evaluation.pixels is None
    back = evaluation.to_json()
    for name in ("aupro", "pixel_iou", "region_recall", "region_precision", "smallest_tenth"):
        assert back[name] is None
    assert evaluation.image_auroc is not None


def test_only_normals_still_give_a_false_alarm_rate() -> None:
    images = [part_pixels(seed) for seed in range(3)]
    source = LabelledSource(images, [False] * 3, ids=["a", "b", "c"])
    evaluation = evaluate(DarknessModel(), source, threshold=np.inf)
    assert evaluation.image_auroc is None
    assert evaluation.point.false_alarm_rate == Rate(0, 3)
    back = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert back["detection_rate"] is None
    assert back["intervals"]["detection_rate"] is None
    assert back["rates"]["detection_rate"]["high"] == 1.0
    assert back["threshold"] is None
    assert back["f1_best"] is None


def test_a_mask_of_another_size_is_named() -> None:
    source = LabelledSource(
        [part_pixels(defect=True)], [True], ids=["odd"], masks=[np.ones((5, 7), bool)]
    )
    with pytest.raises(DetectionError, match=r"odd: .*its mask \(5, 7\)"):
        evaluate(DarknessModel(), source)


def test_progress_is_told_image_by_image() -> None:
    told: list[tuple[int, int, str]] = []
    evaluate(DarknessModel(), labelled(), on_progress=lambda *step: told.append(step))
    assert told[0] == (1, 10, "part 0")
    assert told[-1] == (10, 10, "part 9")


def test_wrong_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        LabelledSource([part_pixels()], [True, False], ids=["a"])
    with pytest.raises(ValueError, match="needs labelled images"):
        evaluate(DarknessModel(), LabelledSource([], [], ids=[]))

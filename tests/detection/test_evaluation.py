import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from detection.evaluation import Evaluation, LabelledSource, Rate, evaluate
from detection.protocol import Float32Array, Float64Array, UInt8Array
from tests.images import part_pixels, spot_mask


@dataclass(frozen=True)
class FakeCalibration:
    scores: Float64Array
    kind: str = "held-out images"
    groups: int = 0


@dataclass(frozen=True)
class FakeResult:
    score: float
    map: Float32Array


class DarknessModel:
    """Scores by how much darker than its usual grey the ring is: finds the dark spot."""

    calibration = FakeCalibration(np.arange(20, dtype=np.float64))

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
    assert evaluation.threshold == 19.0001  # the next number of six digits above the normal 19
    total = evaluation.confusion
    assert total.found + total.missed == 4
    assert total.false_alarms + total.passed == 6


def test_given_threshold_and_rates() -> None:
    evaluation = evaluate(DarknessModel(), labelled(), threshold=-1.0)
    assert evaluation.detection_rate == Rate(4, 4)
    assert evaluation.false_alarm_rate == Rate(6, 6)
    assert evaluation.detection_by_type == {"dent": Rate(1, 1), "spot": Rate(3, 3)}


def test_json_round_trip_has_no_infinity(evaluation: Evaluation) -> None:
    text = json.dumps(evaluation.to_json(), allow_nan=False)
    back = json.loads(text)
    assert back["image_auroc"] == evaluation.image_auroc
    assert back["roc"][0] == [0.0, 0.0, None]
    assert back["detection_rate"]["n"] == 4
    assert back["detection_rate"]["low"] == pytest.approx(evaluation.detection_rate.interval.low)
    assert len(back["scores"]) == 10
    assert back["f1_best"]["value"] > 0.5


def test_defects_without_masks_are_counted_and_left_out() -> None:
    evaluation = evaluate(DarknessModel(), labelled(masks=False))
    assert evaluation.without_mask == 4
    assert evaluation.pixels is None
    assert evaluation.to_json()["aupro"] is None
    assert evaluation.image_auroc is not None


def test_only_normals_still_give_a_false_alarm_rate() -> None:
    images = [part_pixels(seed) for seed in range(3)]
    source = LabelledSource(images, [False] * 3, ids=["a", "b", "c"])
    evaluation = evaluate(DarknessModel(), source, threshold=1e9)
    assert evaluation.image_auroc is None
    assert evaluation.false_alarm_rate == Rate(0, 3)
    assert evaluation.detection_rate.value is None
    assert evaluation.detection_rate.to_json()["high"] == 1.0
    json.dumps(evaluation.to_json(), allow_nan=False)


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

import json
from typing import Any

import numpy as np
import pytest

from detection.evaluation import ScoredImage, compare
from detection.metrics import auroc
from detection.protocol import DetectionError, Float64Array

N = 60
IS_DEFECT = np.arange(N) < 20


def evaluation(scores: Float64Array, *, threshold: float | None = 1.0) -> dict[str, Any]:
    lines = [
        ScoredImage(f"image {k}", float(score), bool(IS_DEFECT[k]), "spot" if IS_DEFECT[k] else "")
        for k, score in enumerate(scores)
    ]
    return {"threshold": threshold, "scores": [line.to_json() for line in lines]}


def noisy(seed: int, apart: float) -> Float64Array:
    return np.asarray(np.random.default_rng(seed).normal(size=N) + apart * IS_DEFECT)


def test_figures_and_counts_of_two_models() -> None:
    a, b = noisy(0, 3.0), noisy(1, 0.5)
    told = json.loads(json.dumps(compare(evaluation(a), evaluation(b, threshold=0.5)).to_json()))
    assert (told["n_normal"], told["n_defect"]) == (40, 20)
    assert told["image_auroc"]["a"] == pytest.approx(auroc(a, IS_DEFECT))
    assert told["image_auroc"]["b"] == pytest.approx(auroc(b, IS_DEFECT))
    low, high = told["image_auroc"]["interval"]
    assert 0 < low < told["image_auroc"]["difference"] < high
    assert told["image_auroc"]["share_a_better"] > 0.99
    found_a, found_b = a[IS_DEFECT] >= 1.0, b[IS_DEFECT] >= 0.5
    rates = told["detection_rate"]
    assert rates["a"] == found_a.mean()
    assert rates["only_b"] == (found_b & ~found_a).sum()
    assert rates["both"] + rates["only_a"] + rates["only_b"] + rates["neither"] == rates["n"] == 20
    assert 0 < rates["p_value"] <= 1
    assert told["false_alarm_rate"]["n"] == 40


def test_the_order_of_images_does_not_matter() -> None:
    a, b = evaluation(noisy(0, 1.0)), evaluation(noisy(1, 1.0))
    turned = {**b, "scores": b["scores"][::-1]}
    assert compare(a, b).to_json() == compare(a, turned).to_json()


def test_a_model_beside_itself() -> None:
    told = compare(evaluation(noisy(0, 1.0)), evaluation(noisy(0, 1.0))).to_json()
    assert told["image_auroc"]["difference"] == 0
    assert told["image_auroc"]["share_a_better"] == 0.5
    assert told["detection_rate"]["p_value"] is None
    assert told["detection_rate"]["interval"] is None


def test_an_infinite_threshold_flags_nothing() -> None:
    one = evaluation(noisy(0, 9.0))
    told = compare(one, evaluation(noisy(0, 9.0), threshold=None)).to_json()
    assert (told["detection_rate"]["a"], told["detection_rate"]["b"]) == (1.0, 0.0)


def test_what_cannot_be_compared_is_named() -> None:
    one = evaluation(noisy(0, 1.0))
    fewer = {**one, "scores": one["scores"][1:]}
    with pytest.raises(DetectionError, match="image 0 is in one alone"):
        compare(one, fewer)
    other = json.loads(json.dumps(one))
    other["scores"][3]["is_defect"] = False
    with pytest.raises(DetectionError, match="disagree"):
        compare(one, other)
    for broken in ({}, {"threshold": 1.0, "scores": [{"id": "a"}]}, {"threshold": 1, "scores": 3}):
        with pytest.raises(DetectionError, match=r"b\.json is no evaluation"):
            compare(one, broken, names=("a.json", "b.json"))
    with pytest.raises(DetectionError, match="twice"):
        compare({**one, "scores": one["scores"] * 2}, one)

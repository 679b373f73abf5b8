"""What a version's own figures say of the set-up, in one word."""

import pytest

from detection.evaluation import OperatingPoint, ScoredImage
from inspection.models import ModelVersion
from training.verdicts import MOST_STOPPED, MOST_UNFLAGGED, setup_verdict


def version_with(
    *, found: int, stopped: int, of_normals: int = 18, auroc: float = 0.97
) -> ModelVersion:
    """Return a version tested on 20 defects and some normals, ``review_from`` 2."""
    lines = [
        ScoredImage(f"defect {number}", 3.0 if number < found else 1.0, True, "scratch")
        for number in range(20)
    ]
    lines += [
        ScoredImage(f"normal {number}", 3.0 if number < stopped else 1.0, False, "")
        for number in range(of_normals)
    ]
    evaluation = {
        "n_defect": 20, "image_auroc": auroc, "intervals": {},
        **OperatingPoint.of(lines, 2.0).to_json(), "scores": [line.to_json() for line in lines],
    }  # fmt: skip
    return ModelVersion(number=1, metrics={"evaluation": evaluation})


@pytest.mark.parametrize(
    ("found", "stopped", "auroc", "word"),
    [
        (20, 0, 0.97, "Usable"),
        (20, 2, 0.97, "Usable"),  # the interval of 2 of 18 begins at 1.4 %
        (20, 4, 0.97, "Usable with care"),  # at 6.4 %
        (20, 12, 0.97, "Not usable yet"),  # at 41 %
        (17, 0, 0.97, "Usable with care"),
        (9, 0, 0.97, "Not usable yet"),
        (20, 0, 0.90, "Usable with care"),
        (20, 0, 0.70, "Not usable yet"),
    ],
)
def test_the_word_follows_detection_and_false_alarms(
    found: int, stopped: int, auroc: float, word: str
) -> None:
    version = version_with(found=found, stopped=stopped, auroc=auroc)
    assert setup_verdict(version, basis="", review_from=2.0).word == word


def test_a_flood_of_false_alarms_is_named() -> None:
    verdict = setup_verdict(version_with(found=20, stopped=12), basis="basis", review_from=2.0)
    assert verdict.tag == "not met"
    assert MOST_STOPPED in verdict.sentences
    assert any("12 of 18 known normals" in sentence for sentence in verdict.sentences)


def test_defects_that_would_mostly_pass_are_named() -> None:
    verdict = setup_verdict(version_with(found=4, stopped=0), basis="", review_from=2.0)
    assert MOST_UNFLAGGED in verdict.sentences
    assert MOST_STOPPED not in verdict.sentences


def test_without_known_defects_detection_is_unknown() -> None:
    verdict = setup_verdict(ModelVersion(metrics={}), basis="basis")
    assert (verdict.word, verdict.tag) == ("Usable to collect answers", "too few")

import json
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from detection.calibration import KIND_IMAGES, Calibration
from detection.model import Model
from detection.protocol import DetectionError, UInt8Array
from detection.synthetic import KINDS, SYNTHETIC_NOTE, sanity_check
from tests.detection.conftest import Parts


class Contrast:
    """Says 1 where an image is not flat; sees nothing where ``blind``."""

    def __init__(self, *, blind: bool = False) -> None:
        self.blind = blind
        self.calibration = Calibration.of(np.linspace(0, 0.5, 40), KIND_IMAGES)

    def score(self, image: UInt8Array) -> SimpleNamespace:
        return SimpleNamespace(score=0.0 if self.blind else float((np.ptp(image) > 8) * 1.0))


class Flat:
    def __len__(self) -> int:
        return 6

    def __iter__(self) -> Iterator[UInt8Array]:
        for level in range(6):
            yield np.full((60, 90, 3), 60 + level, np.uint8)


def test_a_model_that_sees_all_and_one_that_sees_nothing() -> None:
    seeing = sanity_check(Contrast(), Flat(), np.random.default_rng(0))
    assert seeing.threshold > 0.5
    assert (seeing.normal.n, seeing.normal.flagged, seeing.normal.auroc) == (6, 0, None)
    assert [kind.kind for kind in seeing.kinds] == list(KINDS)
    assert all((kind.n, kind.flagged, kind.auroc) == (6, 6, 1.0) for kind in seeing.kinds)
    assert seeing.reacts
    assert not seeing.normals_differ
    blind = sanity_check(Contrast(blind=True), Flat(), np.random.default_rng(0))
    assert all((kind.flagged, kind.auroc) == (0, 0.5) for kind in blind.kinds)
    assert not blind.reacts


def test_normals_of_another_kind_are_named() -> None:
    class Uneven(Flat):
        def __iter__(self) -> Iterator[UInt8Array]:
            for image in super().__iter__():
                image[:, :40] += 50
                yield image

    result = sanity_check(Contrast(), Uneven(), np.random.default_rng(0))
    assert result.normal.flagged == 6
    assert result.normals_differ
    assert not result.reacts  # everything scores alike


def test_it_says_that_it_is_synthetic() -> None:
    data = json.loads(
        json.dumps(sanity_check(Contrast(), Flat(), np.random.default_rng(0)).to_json())
    )
    assert data["synthetic"] is True
    assert data["note"] == SYNTHETIC_NOTE
    assert set(data["kinds"]) == set(KINDS)
    assert data["kinds"]["scratch"]["share"] == 1.0
    assert data["kinds"]["scratch"]["interval"][1] == 1.0


def test_it_needs_images_and_reports_progress() -> None:
    with pytest.raises(DetectionError, match="needs normal images"):
        sanity_check(Contrast(), Parts([]), np.random.default_rng(0))
    told: list[tuple[int, int, str]] = []
    sanity_check(
        Contrast(), Flat(), np.random.default_rng(0),
        on_progress=lambda *arguments: told.append(arguments),
    )  # fmt: skip
    assert told[-1] == (6, 6, "checking")


def test_a_real_model_reacts(small_model: Model) -> None:
    one, two = (
        sanity_check(small_model, Parts(range(500, 505)), np.random.default_rng(2))
        for _ in range(2)
    )
    assert one == two
    assert one.reacts
    assert all(kind.n == 5 for kind in one.kinds)

"""A version's page says what its calibration normals carry, and how much lots take from it."""

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse

from detection.calibration import KIND_LOTS, Calibration
from inspection.models import Person, View
from inspection.selectors.thresholds import first_threshold_of
from tests import factories
from tests.conftest import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def web(engineer: Person) -> Client:
    return client_of(engineer)


def calibrated(*, lots: int, lot_sd: float) -> Calibration:
    """1,800 normals dealt out to so many lots that differ that much."""
    rng = np.random.default_rng(5)
    lot = np.arange(1800) % lots
    scores = rng.normal(10, 1, 1800) + lot_sd * rng.normal(size=lots)[lot]
    return Calibration.of(scores, KIND_LOTS, groups=[f"lot {number:02d}" for number in lot])


@pytest.mark.parametrize(
    ("lots", "lot_sd", "words"),
    [
        (30, 0.6, "1800 held-out normals of 30 lots or days, as good as"),
        (3, 0.6, "No promise: 3 lots or days seen, 10 are needed"),
    ],
)
def test_the_promise_counts_lots(
    web: Client, view: View, lots: int, lot_sd: float, words: str
) -> None:
    calibration = calibrated(lots=lots, lot_sd=lot_sd)
    version = factories.make_version(
        view,
        serve=False,
        calibration_kind=KIND_LOTS,
        metrics={"groups": lots, "calibration": calibration.to_json()},
    )
    text = web.get(reverse("training:version", args=[version.pk])).content.decode()
    assert words in text
    first = first_threshold_of(version)
    assert first == calibration.first_threshold()
    assert first.promise is (lots == 30)


@pytest.fixture
def view() -> View:
    return factories.make_view()

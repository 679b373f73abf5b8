"""A model that answers by rule, hooks that only write down, and jobs with real pictures."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from detection.model import ImageResult
from detection.protocol import Explanation, UInt8Array
from detection.regions import find_regions
from inspection import hooks
from inspection.models import Image, ModelVersion, Part, Product, Routing, ScoringJob, View
from inspection.services import registry
from tests import factories, images


@dataclass
class FakeModel:
    """Scores by mean brightness over 100: bright pictures are odd. Notes what it was asked."""

    calls: list[tuple[int, ...]] = field(default_factory=list)
    error: Exception | None = None
    value: float | None = None
    before: Callable[[], None] | None = None

    def score(self, image: UInt8Array) -> ImageResult:
        """Answer like ``detection.model.Model``."""
        self.calls.append(image.shape)
        if self.before is not None:
            self.before()
        if self.error is not None:
            raise self.error
        heat = image.mean(axis=2, dtype=np.float32) / 50
        value = float(image.mean()) / 100 if self.value is None else self.value
        return ImageResult(
            score=value,
            surprise=min(1.0, 1 / (1 + value * 10)),
            map=heat,
            regions=find_regions(heat, 2.0),
            embedding=np.array([value, 1, 2], np.float32),
            region_embedding=None,
            explanation=Explanation((3.0, 4.0), value, "normal-1", (5.0, 6.0)),
        )


@dataclass
class Heard:
    """What the hooks were called with."""

    routed: list[Routing] = field(default_factory=list)
    collected: list[Part] = field(default_factory=list)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """Every version loads this one model."""
    fake = FakeModel()
    monkeypatch.setattr(registry, "version_load", lambda version: fake)
    return fake


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Nobody above inspection listens; what they would have heard is kept."""
    heard = Heard()
    monkeypatch.setattr(hooks.part_routed, "_receivers", [heard.routed.append])
    monkeypatch.setattr(hooks.part_collected, "_receivers", [heard.collected.append])
    return heard


@dataclass
class Line:
    """A product with one view and a serving version that flags from 0.7 on."""

    product: Product
    view: View
    version: ModelVersion

    def job(self, *, dark: bool = True, **fields: Any) -> ScoringJob:
        """Return a queued job with a real picture: score about 0.5 (dark) or 2 (bright)."""
        level = 50 if dark else 200
        seed = ScoringJob.objects.count()
        pixels = np.full((48, 64, 3), level, np.uint8)
        pixels[0, 0] = (seed % 256, seed // 256, 0)
        fields.setdefault("view", self.view)
        job = {name: fields.pop(name) for name in ("queued_at", "purpose") if name in fields}
        image = factories.make_image(data=images.encode(pixels), **fields)
        return factories.make_job(image, **job)


@pytest.fixture
def line(db: None, heard: Heard) -> Line:
    """Return the product; nothing is audited."""
    product = factories.make_product(audit_rate=0.0)
    view = factories.make_view(product)
    version = factories.make_version(view)
    factories.make_threshold(version, review_from=0.7)
    return Line(product, view, version)


def state_of(job: ScoringJob) -> tuple[str, str]:
    """Return the states of a job and its image as they are now."""
    job = ScoringJob.objects.get(pk=job.pk)
    return job.state, Image.objects.get(pk=job.image_id).state

"""The whole way with a real model: fit on a few small parts, register, promote, score."""

import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from detection.manifest import MANIFEST_NAME, ArtifactError
from inspection.blobs import blob_store
from inspection.errors import ConflictError, NotAllowedError
from inspection.models import Event, ModelVersion, Person, Role, Routing, Score, ScoringJob, View
from inspection.services import registry
from inspection.services.registry import (
    promotion_record,
    serving_version,
    version_load,
    version_register,
    versions_forget,
)
from inspection.services.scoring import floats_unpack
from inspection.tasks import score_job
from tests import factories, images
from tests.inspection.scoring.conftest import Heard

NORMALS = 12


@dataclass
class Normals:
    """Small parts without a defect, as an image source."""

    def __iter__(self) -> Iterator[np.ndarray[Any, Any]]:
        return (images.part_pixels(seed) for seed in range(NORMALS))

    def __len__(self) -> int:
        return NORMALS


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fitted model on disk."""
    from detection.model import fit_model, save_model

    ids = [f"normal-{seed}" for seed in range(NORMALS)]
    model = fit_model(Normals(), ids=ids, config={"preset": "fast"}, seed=1)
    folder = tmp_path_factory.mktemp("models") / "fitted"
    save_model(model, folder)
    return folder


@pytest.fixture(autouse=True)
def _nothing_in_memory() -> Iterator[None]:
    versions_forget()
    yield
    versions_forget()


@pytest.fixture
def view(db: None, heard: Heard) -> View:
    return factories.make_view(factories.make_product(audit_rate=0.0))


def _register(view: View, folder: Path) -> ModelVersion:
    return version_register(view=view, directory=folder, metrics={"n": NORMALS}, fit_seconds=2.5)


def test_a_fitted_model_scores_parts_through_the_registry(view: View, saved: Path) -> None:
    version = _register(view, saved)
    promotion_record(view=view, version=version, person=None, reason="first")
    factories.make_threshold(version, review_from=1e9)
    scores = {}
    for name, defect in (("good", False), ("bad", True)):
        image = factories.make_image(view, data=images.good_png(90, defect=defect))
        score_job(factories.make_job(image).pk)
        scores[name] = Score.objects.get(image=image)
    good, bad = scores["good"], scores["bad"]
    assert bad.value > good.value
    assert bad.surprise <= good.surprise
    assert 0 < bad.surprise <= 1
    assert (version.number, version.method) == (1, "patchcore")
    assert version.calibration_count == NORMALS
    assert version.heat_top > version.pixel_threshold
    embedding = floats_unpack(bad.embedding)
    assert embedding is not None
    assert embedding.dtype == np.float32
    assert np.isfinite(embedding).all()
    assert bad.backbone
    assert bad.explanation is not None
    assert bad.explanation["normal_id"].startswith("normal-")
    assert bad.heat_id is not None
    heat = Picture.open(io.BytesIO(blob_store().read(bad.heat_id)))
    assert (heat.mode, heat.size) == ("L", (128, 96))
    spot = images.spot_mask(90)
    assert np.asarray(heat)[spot].mean() > 1.15 * np.asarray(heat)[~spot].mean()


def test_scoring_again_gives_the_same_bits(view: View, saved: Path) -> None:
    version = _register(view, saved)
    promotion_record(view=view, version=version, person=None)
    job = factories.make_job(factories.make_image(view, data=images.good_png(91)))
    seen = []
    for _ in range(2):
        versions_forget()  # another process would have to load it too
        ScoringJob.objects.update(state="queued")
        Routing.objects.all().delete()
        Score.objects.all().delete()
        score_job(job.pk)
        score = Score.objects.get()
        seen.append((score.value, score.surprise, bytes(score.embedding or b""), score.heat_id))
    assert seen[0] == seen[1]


def test_registering_the_same_files_again_is_the_same_version(view: View, saved: Path) -> None:
    first = _register(view, saved)
    assert _register(view, saved) == first
    with pytest.raises(ConflictError):
        _register(factories.make_view(), saved)
    assert ModelVersion.objects.count() == 1


def test_an_altered_part_is_refused_and_named(view: View, saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "altered"
    shutil.copytree(saved, folder)
    part = sorted(folder.glob("*.safetensors"))[0]
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    with pytest.raises(ArtifactError, match=part.name):
        _register(view, folder)
    assert not ModelVersion.objects.exists()


def test_a_damaged_cache_heals_and_a_damaged_store_is_named(
    view: View, saved: Path, settings: Any
) -> None:
    version = _register(view, saved)
    version_load(version)
    name, sha256 = sorted(version.manifest["parts"].items())[0]
    cached = Path(settings.CACHE_DIR) / "models" / version.manifest_sha256 / name
    cached.write_bytes(b"cut")
    assert version_load(version) is version_load(version)  # in memory: not read again
    versions_forget()
    version_load(version)
    assert cached.stat().st_size > 3
    stored = blob_store().local_path(sha256)
    stored.write_bytes(stored.read_bytes()[:-1])
    cached.write_bytes(b"cut")
    versions_forget()
    with pytest.raises(ArtifactError, match=name):
        version_load(version)
    stored.unlink()
    with pytest.raises(ArtifactError, match=f"{name}: is missing"):
        version_load(version)


def test_an_altered_manifest_is_refused(view: View, saved: Path) -> None:
    version = _register(view, saved)
    blob_store().local_path(version.manifest_sha256).write_text("{}")
    with pytest.raises(ArtifactError, match=MANIFEST_NAME):
        version_load(version)


def test_the_last_four_versions_stay_in_memory(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    monkeypatch.setattr(registry, "_materialised", lambda version: version)

    def load(version: ModelVersion, threads: int, cache: Path) -> ModelVersion:
        read.append(version.number)
        return version

    monkeypatch.setattr("detection.model.load_model", load)
    versions = [factories.make_version(view, serve=False) for _ in range(5)]
    for number in (1, 2, 3, 4, 1, 5, 1, 2):
        version_load(versions[number - 1])
    assert read == [1, 2, 3, 4, 5, 2]  # 2 was the one not used for longest


def test_the_newest_promotion_serves_and_is_on_record(view: View, engineer: Person) -> None:
    assert serving_version(view) is None
    one, two = (factories.make_version(view, serve=False) for _ in range(2))
    promotion_record(view=view, version=one, person=engineer, reason="first")
    promotion_record(view=view, version=two, person=engineer, reason="more normals")
    assert serving_version(view) == two
    with pytest.raises(ConflictError):
        promotion_record(view=view, version=two, person=engineer)
    promotion_record(view=view, version=one, person=engineer, reason="stain", is_rollback=True)
    assert serving_version(view) == one
    kinds = list(Event.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["model.promoted", "model.promoted", "model.rolled_back"]
    assert Event.objects.latest("id").data["before"] == two.pk


def test_who_may_not_promote_changes_nothing(view: View, operator: Person) -> None:
    version = factories.make_version(view, serve=False)
    with pytest.raises(NotAllowedError):
        promotion_record(view=view, version=version, person=operator)
    elsewhere = factories.make_person("", Role.ENGINEER, line=factories.make_line("Line 9"))
    with pytest.raises(NotAllowedError):
        promotion_record(view=view, version=version, person=elsewhere)
    with pytest.raises(ConflictError):
        promotion_record(view=factories.make_view(), version=version, person=None)
    assert serving_version(view) is None


def test_the_first_promotion_queues_what_was_collected(view: View) -> None:
    job = factories.make_job(factories.make_image(view))
    score_job(job.pk)
    assert ScoringJob.objects.get().state == "collected"
    promotion_record(view=view, version=factories.make_version(view, serve=False), person=None)
    assert ScoringJob.objects.get().state == "queued"

"""The real training process on small pictures: fit, calibration, health, golden set, artefact."""

from pathlib import Path

import pytest
from django.utils import timezone

from inspection.models import Person, View
from inspection.services.registry import network_cache, version_load, versions_forget
from tests import factories, images
from tests.training.records import add_mask, add_normal, add_normals
from training.child import Reporter, StoredImages
from training.models import GoldenEntry, Run
from training.services.execution import run_execute
from training.services.runs import run_request

pytestmark = pytest.mark.django_db


@pytest.fixture
def view() -> View:
    view = factories.make_view()
    add_normals(view, 24)
    return view


def add_golden(view: View, seed: int, *, is_defect: bool) -> None:
    data = images.good_png(seed, defect=is_defect)
    GoldenEntry.objects.create(
        image=factories.make_image(view, data=data, width=128, height=96), view=view,
        is_defect=is_defect, added_at=timezone.now(),
        mask_id=add_mask(seed) if is_defect else None,
    )  # fmt: skip


def carried_out(view: View, engineer: Person) -> Run:
    done = run_execute(run_request(view=view, person=engineer).pk)
    assert done is not None
    return done


def test_a_whole_run(view: View, engineer: Person) -> None:
    for seed in range(20):  # confirmed flags: learned, and they never calibrate
        add_normal(view, data=images.good_png(5000 + seed), may_calibrate=False)
    for seed in range(900, 904):
        add_golden(view, seed, is_defect=False)
        add_golden(view, seed + 50, is_defect=True)
    run = carried_out(view, engineer)
    assert run.state == Run.State.DONE, run.reason
    version = run.model_version
    assert version is not None
    assert version.calibration_kind == "held-out images"
    scores = version.metrics["calibration"]["scores"]
    assert len(scores) == version.calibration_count == 9  # a fifth of 44
    evaluation = version.metrics["evaluation"]
    assert (evaluation["n_normal"], evaluation["n_defect"]) == (4, 4)
    assert evaluation["image_auroc"] == 1.0
    assert evaluation["n_mask_regions"] == 4
    assert version.metrics["health_reference"]["images"] == 44
    assert "Reading the normals" in run.stage_seconds
    assert "Testing on the golden set" in run.stage_seconds
    assert run.peak_memory_mb is not None
    assert run.peak_memory_mb > 50
    kept = {path.name for path in network_cache().iterdir()}
    assert kept, "the next fit converts no network again"
    loaded = version_load(version)
    assert kept <= {path.name for path in network_cache().iterdir()}
    try:
        odd = loaded.score(images.part_pixels(951, defect=True))
        normal = loaded.score(images.part_pixels(901))
        assert odd.score > normal.score
    finally:
        versions_forget()


def test_a_stored_file_that_is_gone_is_named(
    view: View, engineer: Person, settings: object
) -> None:
    run = run_request(view=view, person=engineer)
    assert run.snapshot is not None
    entry = run.snapshot.entries.all()[3]
    root = Path(settings.BLOB_DIR)  # type: ignore[attr-defined]
    (root / entry.sha256[:2] / entry.sha256[2:4] / entry.sha256).unlink()
    done = run_execute(run.pk)
    assert done is not None
    assert done.state == Run.State.FAILED
    assert str(entry.image_id) in done.reason


def test_images_are_decoded_one_at_a_time(tmp_path: Path) -> None:
    files = []
    for seed in range(3):
        path = tmp_path / f"{seed}.png"
        path.write_bytes(images.good_png(seed))
        files.append({"id": str(seed), "path": str(path)})
    source = StoredImages(files)
    assert len(source) == 3
    assert [image.shape for image in source] == [(96, 128, 3)] * 3
    (tmp_path / "2.png").unlink()
    walk = iter(source)
    next(walk)
    next(walk)
    with pytest.raises(ValueError, match="Image 2 cannot be read"):
        next(walk)


def test_progress_lines_are_few_and_name_their_stage() -> None:
    import io
    import json

    stream = io.StringIO()
    report = Reporter(stream).stage("Learning")
    for done in range(1, 1001):
        report(done, 1000, "reading images")
    report(1, 10, "anything else")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) < 50
    assert lines[0] == {"stage": "Reading the normals", "done": 1, "total": 1000}
    assert lines[-1]["stage"] == "Learning"
    assert any(line["done"] == 1000 for line in lines)

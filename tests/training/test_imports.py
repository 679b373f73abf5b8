"""Normals that are vouched for, and the golden set."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspection.errors import (
    ConflictError,
    DomainError,
    NotAllowedError,
    RefusedImageError,
    StorageFullError,
)
from inspection.models import DefectType, Event, Image, Person, View
from tests import factories, images
from training.models import Attestation, GoldenEntry, PoolEntry
from training.services.golden import golden_add
from training.services.mvtec import mvtec_import
from training.services.normals import NormalFile, files_from_uploads, normals_import

pytestmark = pytest.mark.django_db


@pytest.fixture
def view() -> View:
    return factories.make_view()


def files(count: int, first: int = 0) -> list[NormalFile]:
    return [
        NormalFile(name=f"{n}.png", data=images.good_png(n)) for n in range(first, first + count)
    ]


def zipped(members: dict[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    buffer.seek(0)
    return buffer


def test_a_batch_is_vouched_for_and_may_calibrate(view: View, engineer: Person) -> None:
    result = normals_import(view=view, person=engineer, reason="set-up shoot", files=files(3))
    assert (result.added, result.already_there, result.refused) == (3, 0, [])
    batch = Attestation.objects.get()
    assert (batch.person, batch.reason, batch.count) == (engineer, "set-up shoot", 3)
    for entry in PoolEntry.objects.all():
        assert entry.state == PoolEntry.State.VERIFIED
        assert entry.may_calibrate is True
        assert entry.attestation == batch
    assert set(Image.objects.values_list("state", flat=True)) == {Image.State.COLLECTED}
    assert Event.objects.get(kind="normals.attested").data["count"] == 3


def test_files_again_change_nothing(view: View, engineer: Person) -> None:
    normals_import(view=view, person=engineer, reason="set-up", files=files(2))
    again = normals_import(view=view, person=engineer, reason="set-up", files=files(2))
    assert (again.added, again.already_there) == (0, 2)
    assert again.attestation is None
    assert Attestation.objects.count() == 1
    assert PoolEntry.objects.count() == 2


def test_a_bad_file_is_named_and_the_others_stay(view: View, engineer: Person) -> None:
    broken = NormalFile(name="half.png", data=images.half_png())
    result = normals_import(
        view=view, person=engineer, reason="set-up", files=[*files(1), broken, *files(1, 7)]
    )
    assert result.added == 2
    ((name, why),) = result.refused
    assert name == "half.png"
    assert why
    assert result.sentence == "2 added, 1 refused."


def test_a_batch_may_come_in_pieces(view: View, engineer: Person) -> None:
    first = normals_import(view=view, person=engineer, reason="set-up", files=files(2))
    second = normals_import(
        view=view, person=engineer, reason="set-up", files=files(2, 5),
        attestation=first.attestation,
    )  # fmt: skip
    assert second.attestation == first.attestation
    assert Attestation.objects.get().count == 4
    other = factories.make_view()
    with pytest.raises(DomainError, match="another person or view"):
        normals_import(
            view=other, person=engineer, reason="x", files=[], attestation=first.attestation
        )


def test_what_came_along_the_line_is_not_vouched_for_later(view: View, engineer: Person) -> None:
    seen = factories.make_image(view, data=images.good_png(0))
    factories.make_routing(seen.part)
    golden_add(view=view, person=engineer, data=images.good_png(1), is_defect=False)
    result = normals_import(view=view, person=engineer, reason="set-up", files=files(2))
    assert (result.added, result.already_there) == (0, 2)
    assert not PoolEntry.objects.exists()


def test_a_reason_and_the_role_are_asked_for(
    view: View, engineer: Person, supervisor: Person
) -> None:
    with pytest.raises(DomainError, match="Say why"):
        normals_import(view=view, person=engineer, reason=" ", files=files(1))
    with pytest.raises(NotAllowedError):
        normals_import(view=view, person=supervisor, reason="yes", files=files(1))
    assert not Image.objects.exists()


def test_a_zip_gives_its_images_and_its_folders_are_lots() -> None:
    stream = zipped(
        {
            "shoot/lot 1/a.png": b"a",
            "shoot/lot 2/b.JPG": b"b",
            "shoot/notes.txt": b"no",
            "__MACOSX/shoot/._a.png": b"no",
            "../../etc/c.png": b"c",
        }
    )
    found = list(files_from_uploads([("shoot.zip", stream), ("d.png", io.BytesIO(b"d"))], lot=""))
    assert [(file.name, file.data, file.lot) for file in found] == [
        ("a.png", b"a", "lot 1"),
        ("b.JPG", b"b", "lot 2"),
        ("d.png", b"d", ""),
    ]


def test_a_flat_zip_has_no_lots_but_the_one_given() -> None:
    stream = zipped({"good/a.png": b"a", "good/b.png": b"b"})
    assert {file.lot for file in files_from_uploads([("s.zip", stream)], lot="")} == {""}
    stream.seek(0)
    assert {file.lot for file in files_from_uploads([("s.zip", stream)], lot="L9")} == {"L9"}


def test_bad_zips_are_refused_in_words(settings: object) -> None:
    settings.MAX_IMAGE_BYTES = 1000  # type: ignore[attr-defined]
    large = zipped({"a.png": bytes(100_000)})
    cut = io.BytesIO(zipped({"a.png": b"a" * 500}).getvalue()[:60])
    bad = {
        "large.zip": (large, "too large"),
        "cut.zip": (cut, "cannot be read"),
        "empty.zip": (zipped({"a.txt": b""}), "no PNG"),
        "text.zip": (io.BytesIO(b"hello"), "cannot be read"),
    }
    for name, (stream, words) in bad.items():
        with pytest.raises(RefusedImageError, match=words):
            list(files_from_uploads([(name, stream)], lot=""))


def test_golden_with_its_mask(view: View, engineer: Person) -> None:
    kind = DefectType.objects.create(product=view.product, name="stain")
    mask = images.encode(images.spot_mask(3).astype("uint8"))  # 0 and 1, as some tools write
    entry = golden_add(
        view=view, person=engineer, data=images.good_png(3, defect=True), is_defect=True,
        defect_type=kind, mask=mask,
    )  # fmt: skip
    assert entry.mask is not None
    assert entry.defect_type == kind
    again = golden_add(
        view=view, person=engineer, data=images.good_png(3, defect=True), is_defect=True
    )
    assert again == entry
    assert not PoolEntry.objects.exists()


def test_a_mask_that_does_not_fit_is_refused(view: View, engineer: Person) -> None:
    small = images.encode(images.spot_mask(3, height=48, width=64).astype("uint8") * 255)
    with pytest.raises(RefusedImageError, match="64 x 48 pixels, the image 128 x 96"):
        golden_add(view=view, person=engineer, data=images.good_png(3), is_defect=True, mask=small)
    empty = images.encode(images.spot_mask(3).astype("uint8") * 0)
    with pytest.raises(RefusedImageError, match="marks nothing"):
        golden_add(view=view, person=engineer, data=images.good_png(3), is_defect=True, mask=empty)
    assert not GoldenEntry.objects.exists()


def test_golden_never_judges_with_what_was_learned(view: View, engineer: Person) -> None:
    normals_import(view=view, person=engineer, reason="set-up", files=files(2))
    used, unused = PoolEntry.objects.order_by("id")
    PoolEntry.objects.filter(pk=used.pk).update(state=PoolEntry.State.USED)
    with pytest.raises(ConflictError, match="has learned"):
        golden_add(view=view, person=engineer, data=images.good_png(0), is_defect=False)
    golden_add(view=view, person=engineer, data=images.good_png(1), is_defect=False)
    unused.refresh_from_db()
    assert unused.state == PoolEntry.State.WITHDRAWN


def test_one_truth_per_golden_image(view: View, engineer: Person, operator: Person) -> None:
    golden_add(view=view, person=engineer, data=images.good_png(0), is_defect=False)
    with pytest.raises(ConflictError, match="another truth"):
        golden_add(view=view, person=engineer, data=images.good_png(0), is_defect=True)
    with pytest.raises(NotAllowedError):
        golden_add(view=view, person=operator, data=images.good_png(1), is_defect=False)


def test_a_folder_in_mvtec_layout(view: View, engineer: Person, tmp_path: Path) -> None:
    folder = tmp_path / "ring"
    for name in ("train/good", "test/good", "test/faint_stain", "ground_truth/faint_stain"):
        (folder / name).mkdir(parents=True)
    for seed in range(3):
        (folder / "train/good" / f"{seed}.png").write_bytes(images.good_png(seed))
    (folder / "test/good/0.png").write_bytes(images.good_png(10))
    (folder / "test/faint_stain/0.png").write_bytes(images.good_png(11, defect=True))
    mask = images.encode(images.spot_mask(11).astype("uint8") * 255)
    (folder / "ground_truth/faint_stain/0_mask.png").write_bytes(mask)
    steps: list[tuple[int, int, str]] = []
    for _ in range(2):  # safe to repeat
        result = mvtec_import(
            folder=folder, product=view.product, view=view, person=engineer,
            on_progress=lambda done, total, note: steps.append((done, total, note)),
        )  # fmt: skip
    assert result.normals.already_there == 3
    assert PoolEntry.objects.count() == 3
    assert GoldenEntry.objects.filter(is_defect=False).count() == 1
    defect = GoldenEntry.objects.get(is_defect=True)
    assert defect.mask is not None
    assert defect.defect_type is not None
    assert defect.defect_type.name == "faint stain"
    assert steps[-1] == (5, 5, "golden set")


def test_a_defect_whose_mask_marks_nothing_is_a_defect_without_mask(
    view: View, engineer: Person, tmp_path: Path
) -> None:
    folder = tmp_path / "tile"
    for name in ("train/good", "test/uneven", "ground_truth/uneven"):
        (folder / name).mkdir(parents=True)
    (folder / "train/good/0.png").write_bytes(images.good_png(0))
    for name, seed in (("empty", 1), ("broken", 2)):
        (folder / f"test/uneven/{name}.png").write_bytes(images.good_png(seed, defect=True))
    nothing = images.encode(images.spot_mask(1).astype("uint8") * 0)
    (folder / "ground_truth/uneven/empty_mask.png").write_bytes(nothing)
    (folder / "ground_truth/uneven/broken_mask.png").write_bytes(nothing[:40])
    result = mvtec_import(folder=folder, product=view.product, view=view, person=engineer)
    assert result.golden_defects == 1
    assert GoldenEntry.objects.get().mask is None
    assert [name for name, _ in result.refused] == ["uneven/broken.png"]


def test_a_zip_that_breaks_off_keeps_what_came_before(view: View, engineer: Person) -> None:
    members = {f"{seed}.png": images.good_png(seed) for seed in range(3)}
    broken = bytearray(zipped(members).getvalue())
    third = broken.index(b"2.png")
    broken[third + 200] ^= 0xFF  # inside the third member's data: its checksum fails
    result = normals_import(
        view=view, person=engineer, reason="set-up",
        files=files_from_uploads([("s.zip", io.BytesIO(bytes(broken)))], lot=""),
    )  # fmt: skip
    assert result.added == 2
    ((name, why),) = result.refused
    assert name == "s.zip"
    assert "was not taken" in why
    assert Attestation.objects.get().count == 2


def test_a_full_disk_leaves_what_came_in_vouched_for(view: View, engineer: Person) -> None:
    def two_and_then_full() -> Iterator[NormalFile]:
        yield from files(2)
        raise StorageFullError("The disk is almost full.")

    with pytest.raises(StorageFullError):
        normals_import(view=view, person=engineer, reason="set-up", files=two_and_then_full())
    assert Attestation.objects.get().count == 2
    assert PoolEntry.objects.count() == 2

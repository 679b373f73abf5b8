"""``manage.py ingest``."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from inspection.models import Image, Part, ScoringJob, View
from tests import factories, images

pytestmark = pytest.mark.django_db


@pytest.fixture
def view() -> View:
    return factories.make_view(factories.make_product("Flange ring"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shots"
    (folder / "deep").mkdir(parents=True)
    (folder / "R1.png").write_bytes(images.good_png(1))
    (folder / "deep" / "R2.JPG").write_bytes(images.good_jpeg(2))
    (folder / "notes.txt").write_text("not an image")
    return folder


def test_every_image_comes_in_once(
    folder: Path, view: View, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("ingest", str(folder), product="Flange ring", lot="L7")
    assert Image.objects.count() == 2
    assert set(Part.objects.values_list("lot", flat=True)) == {"L7"}
    assert ScoringJob.objects.count() == 2
    call_command("ingest", str(folder), product="Flange ring", lot="L7")
    assert Image.objects.count() == 2
    assert "2 here already" in capsys.readouterr().out


def test_names_as_serials_and_without_score(folder: Path, view: View) -> None:
    call_command(
        "ingest", str(folder), product=str(view.product_id), view="face",
        serial_from_name=True, no_score=True,
    )  # fmt: skip
    assert set(Part.objects.values_list("serial", flat=True)) == {"R1", "R2"}
    assert not ScoringJob.objects.exists()


def test_a_refused_file_is_named_and_the_others_come_in(
    folder: Path, view: View, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "half.jpg").write_bytes(images.half_jpeg())
    with pytest.raises(CommandError, match="1 files were refused"):
        call_command("ingest", str(folder), product="Flange ring")
    assert Image.objects.count() == 2
    assert "half.jpg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("none", {"product": "Flange ring"}),
        ("shots", {"product": "Other"}),
        ("shots", {"product": "Flange ring", "view": "side"}),
        ("shots/empty", {"product": "Flange ring"}),
    ],
)
def test_what_cannot_be_is_said(
    folder: Path, view: View, name: str, options: dict[str, str]
) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(CommandError):
        call_command("ingest", str(folder.parent / name), **options)
    assert not Image.objects.exists()

"""The watched folder: settled files come in, refused ones are put aside, nothing is lost."""

import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from inspection.errors import StorageFullError
from inspection.intake import watching
from inspection.intake.watching import FolderWatcher
from inspection.models import Event, Image, Part, ScoringJob, View, WorkerBeat
from inspection.services.intake import image_receive
from tests import factories, images

pytestmark = pytest.mark.django_db


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    return tmp_path / "inbox_dir"


@pytest.fixture
def view() -> View:
    return factories.make_view(factories.make_product("Flange ring"))


def put(inbox: Path, name: str, data: bytes, mtime: int = 1_700_000_000) -> Path:
    path = inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (mtime, mtime))
    return path


def settle(watcher: FolderWatcher, start: float = 0) -> watching.Poll:
    watcher.poll(start)
    return watcher.poll(start + watcher.settle_s)


@pytest.fixture
def watcher(inbox: Path) -> FolderWatcher:
    inbox.mkdir()
    return FolderWatcher(inbox, settle_s=2)


def test_a_file_comes_in_once_it_is_still(watcher: FolderWatcher, inbox: Path, view: View) -> None:
    path = put(inbox, "Flange ring/face/R62-1.png", images.good_png())
    assert watcher.poll(0).waiting == 1
    assert watcher.poll(1.9).waiting == 1
    assert not Image.objects.exists()
    assert watcher.poll(2.0).accepted == 1
    image = Image.objects.get()
    assert (image.view, image.channel, image.file_name) == (view, "folder", "R62-1.png")
    assert image.part.serial == "R62-1"
    assert ScoringJob.objects.filter(image=image).exists()
    assert not path.exists()
    assert not (inbox / "rejected").exists()


def test_a_file_that_still_grows_waits(watcher: FolderWatcher, inbox: Path, view: View) -> None:
    data = images.good_png()
    watcher.poll(0)
    put(inbox, "Flange ring/face/a.png", data[:100])
    watcher.poll(1)
    path = put(inbox, "Flange ring/face/a.png", data)
    assert watcher.poll(3).waiting == 1
    assert path.exists()
    assert watcher.poll(5).accepted == 1


def test_the_only_view_needs_no_folder(watcher: FolderWatcher, inbox: Path, view: View) -> None:
    put(inbox, "Flange ring/a.png", images.good_png())
    assert settle(watcher).accepted == 1


def test_hidden_unfinished_and_linked_files_are_left_alone(
    watcher: FolderWatcher, inbox: Path, view: View, tmp_path: Path
) -> None:
    secret = put(tmp_path, "secret.png", images.good_png())
    left = [
        put(inbox, "Flange ring/face/.a.png", images.good_png()),
        put(inbox, "Flange ring/face/b.png.part", images.good_png()),
        put(inbox, "Flange ring/face/c.tmp", images.good_png()),
        put(inbox, ".trash/d.png", images.good_png()),
        put(inbox, "rejected/e.png", images.good_png()),
    ]
    (inbox / "Flange ring/face/link.png").symlink_to(secret)
    assert settle(watcher) == watching.Poll()
    assert all(path.exists() for path in [*left, secret])


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("Flange ring/face/half.jpg", images.half_jpeg(), "cut off"),
        ("Unknown/face/a.png", images.good_png(), "no product 'Unknown'"),
        ("Flange ring/side/a.png", images.good_png(), "no view 'side'"),
        ("a.png", images.good_png(), "inbox/PRODUCT/VIEW"),
    ],
)
def test_a_refused_file_is_put_aside_with_its_reason(
    watcher: FolderWatcher, inbox: Path, view: View, name: str, data: bytes, words: str
) -> None:
    path = put(inbox, name, data)
    assert settle(watcher).refused == 1
    target = inbox / "rejected" / path.name
    assert target.read_bytes() == data
    reason = target.with_name(target.name + ".reason.txt").read_text()
    assert words in reason
    assert name in reason
    assert not path.exists()
    assert settle(watcher, 10) == watching.Poll()


def test_a_second_refused_file_of_the_name_is_kept_too(
    watcher: FolderWatcher, inbox: Path, view: View
) -> None:
    for start in (0, 10):
        put(inbox, "Flange ring/face/a.jpg", images.half_jpeg(start))
        settle(watcher, start)
    kept = sorted(path.name for path in (inbox / "rejected").iterdir())
    assert kept == ["a (2).jpg", "a (2).jpg.reason.txt", "a.jpg", "a.jpg.reason.txt"]


def test_a_stop_between_commit_and_removal_changes_nothing(
    watcher: FolderWatcher, inbox: Path, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(inbox, "Flange ring/face/a.png", images.good_png())

    def stop(self: Path, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", stop)
        with pytest.raises(KeyboardInterrupt):
            settle(watcher)
    assert path.exists()
    assert Image.objects.count() == 1
    assert settle(FolderWatcher(inbox, settle_s=2)).accepted == 1
    assert Image.objects.count() == 1
    assert Part.objects.get().round == 1
    assert not path.exists()


def test_the_same_picture_written_again_is_a_stuck_camera(
    watcher: FolderWatcher, inbox: Path, view: View
) -> None:
    put(inbox, "Flange ring/face/a.png", images.good_png())
    settle(watcher)
    put(inbox, "Flange ring/face/b.png", images.good_png(), mtime=1_700_000_009)
    settle(watcher, 10)
    assert Image.objects.count() == 2
    assert Event.objects.get().kind == "camera.same_bytes"


@pytest.mark.parametrize("error", [StorageFullError("full"), RuntimeError("odd")])
def test_what_cannot_be_kept_now_stays_and_is_tried_again(
    watcher: FolderWatcher,
    inbox: Path,
    view: View,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    path = put(inbox, "Flange ring/face/a.png", images.good_png())

    def fail(**fields: Any) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr("inspection.intake.watching.image_receive", fail)
        assert settle(watcher).waiting == 1
    assert path.exists()
    assert watcher.poll(3).waiting == 1
    assert watcher.poll(2 + watching.RETRY_AFTER_S).accepted == 1


def test_a_file_swapped_while_it_was_read_is_not_removed(
    watcher: FolderWatcher, inbox: Path, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = image_receive

    def swap_then_receive(**fields: Any) -> Any:
        received = real(**fields)
        put(inbox, "Flange ring/face/a.png", images.good_png(2), mtime=1_700_000_050)
        return received

    put(inbox, "Flange ring/face/a.png", images.good_png(1))
    with monkeypatch.context() as patched:
        patched.setattr("inspection.intake.watching.image_receive", swap_then_receive)
        settle(watcher)
    assert (inbox / "Flange ring/face/a.png").read_bytes() == images.good_png(2)
    assert settle(watcher, 10).accepted == 1
    assert Image.objects.count() == 2


def test_the_command_makes_the_folder_and_ends_its_beat(
    inbox: Path, view: View, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("watch", "--once")
    assert inbox.is_dir()
    assert "Watching" in capsys.readouterr().out
    assert not WorkerBeat.objects.exists()

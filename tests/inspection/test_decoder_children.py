"""The decoder children: real processes, killed, hung and fed bad files."""

import csv
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inspection.errors import BusyError, RefusedImageError
from inspection.intake import child
from inspection.intake.children import DecoderPool, Examined, decoder_pool
from tests import images

BAD_INPUTS = Path(
    os.environ.get("SECONDLOOK_BADINPUTS_DIR", Path(__file__).parents[3] / "shared" / "badinputs")
)
# Longer than any limit: the parent has to end it.
HANGS = "import socket, time\nline = socket.socket(fileno=0)\ntime.sleep(600)"
DIES = "import socket\nline = socket.socket(fileno=0)\nline.recv(4)"
LIES = "import socket\nline = socket.socket(fileno=0)\nline.recv(4)\nline.sendall(b'x' * 100)"


@pytest.fixture
def pool() -> Iterator[DecoderPool]:
    pool = DecoderPool(size=2)
    yield pool
    pool.close()


def _pixels(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


def test_a_good_image_comes_back_with_preview_and_thumbnail(pool: DecoderPool) -> None:
    data = images.encode(images.part_pixels(height=1200, width=1500))
    found = pool.examine(data)
    assert (found.width, found.height, found.content_type) == (1500, 1200, "image/png")
    assert found.derived is None
    assert _pixels(found.preview).shape == (819, 1024, 3)
    assert _pixels(found.thumbnail).shape == (205, 256, 3)


def test_the_same_child_answers_again(pool: DecoderPool) -> None:
    pool.examine(images.good_png(1))
    first = pool.idle_pids()
    pool.examine(images.good_jpeg(2))
    assert pool.idle_pids() == first


def test_a_turned_image_gets_an_upright_copy(pool: DecoderPool) -> None:
    found = pool.examine(images.rotated_jpeg(6))
    assert (found.width, found.height) == (96, 128)
    assert found.derived is not None
    assert _pixels(found.derived).shape == (128, 96, 3)


def test_deep_grey_gets_an_eight_bit_copy(pool: DecoderPool) -> None:
    found = pool.examine(images.grey_16_bit(bits=12), bit_depth=12)
    assert found.derived is not None
    difference = np.abs(_pixels(found.derived).astype(int) - images.part_pixels())
    assert difference.max() <= 1


def test_a_tiff_gets_a_copy_that_browsers_draw(pool: DecoderPool) -> None:
    found = pool.examine(images.encode(images.part_pixels(), "TIFF"))
    assert found.content_type == "image/tiff"
    assert found.derived is not None
    np.testing.assert_array_equal(_pixels(found.derived), images.part_pixels())


@pytest.mark.parametrize("name", sorted(images.BAD_FILES))
def test_a_bad_file_is_refused_with_its_reason(name: str) -> None:
    make, code = images.BAD_FILES[name]
    with pytest.raises(RefusedImageError) as caught:
        decoder_pool().examine(make())
    assert caught.value.extra == {"reason": code}
    assert caught.value.message.endswith(".")


def test_a_killed_idle_child_is_replaced(pool: DecoderPool) -> None:
    pool.examine(images.good_png())
    (pid,) = pool.idle_pids()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert pool.examine(images.good_png()).width == 128
    assert pool.idle_pids() != [pid]


def test_a_hung_child_is_killed_and_its_image_refused() -> None:
    pool = DecoderPool(size=1, timeout_s=0.5, command=(sys.executable, "-c", HANGS))
    with pytest.raises(RefusedImageError) as caught:
        pool.examine(images.good_png())
    assert caught.value.extra == {"reason": "too_slow"}
    assert pool.idle_pids() == []


@pytest.mark.parametrize("script", [DIES, LIES])
def test_a_file_that_takes_two_children_along_is_refused(script: str) -> None:
    pool = DecoderPool(size=1, command=(sys.executable, "-c", script))
    with pytest.raises(RefusedImageError) as caught:
        pool.examine(images.good_png())
    assert caught.value.extra == {"reason": "decoder_died"}
    assert pool.idle_pids() == []


def test_when_every_child_is_at_work_the_caller_is_told() -> None:
    pool = DecoderPool(size=1, timeout_s=0.5, command=(sys.executable, "-c", HANGS))
    pool._slots.acquire()
    with pytest.raises(BusyError):
        pool.examine(images.good_png())


def test_threads_share_the_children(pool: DecoderPool) -> None:
    seen: list[Examined] = []
    with ThreadPoolExecutor(8) as threads:
        seen = list(threads.map(lambda seed: pool.examine(images.good_png(seed)), range(16)))
    assert [found.width for found in seen] == [128] * 16
    assert 1 <= len(pool.idle_pids()) <= 2
    assert threading.active_count() < 8


def test_the_child_is_limited_and_knows_no_secret(
    pool: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDLOOK_SECRET_KEY", "not for children")
    pool.examine(images.good_png())
    (pid,) = pool.idle_pids()
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert str(child.MEMORY_BYTES) in limits
    assert "not for children" not in Path(f"/proc/{pid}/environ").read_text()


def test_children_end_with_their_line(pool: DecoderPool) -> None:
    pool.examine(images.good_png())
    (pid,) = pool.idle_pids()
    pool.close()
    assert not Path(f"/proc/{pid}").exists()


def test_collected_bad_inputs_never_take_the_pool_along() -> None:
    manifest = BAD_INPUTS / "MANIFEST.csv"
    if not manifest.is_file():
        pytest.skip("needs the bad-input files")
    with manifest.open(newline="") as file:
        rows = [row for row in list(csv.reader(file))[1:] if not row[0].endswith(".zip")]
    pool = decoder_pool()
    wrongly_taken, died = [], []
    for name, *_, expected in rows:
        try:
            pool.examine((BAD_INPUTS / name).read_bytes())
        except RefusedImageError as error:
            if error.extra["reason"] in {"decoder_died", "too_slow"}:
                died.append((name, error.extra["reason"]))
            continue
        if "must be refused" in expected and "undetectable" not in expected:
            wrongly_taken.append(name)
    assert len(rows) > 300
    assert (wrongly_taken, died) == ([], [])
    assert pool.examine(images.good_png()).width == 128

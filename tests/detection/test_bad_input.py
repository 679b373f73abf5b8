"""What a user can hand in by mistake, through the library and the command line."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detection import patchcore
from detection.backbones import build_engine
from detection.calibration import choose_folds
from detection.cli import main
from detection.decoding import DecodeError, decode_image
from detection.manifest import MANIFEST_NAME
from detection.model import Model, fit_model, save_model
from detection.mvtec import FolderError, find_unreadable, read_folder, unreadable_error
from detection.naming import named_in_order
from detection.protocol import DetectionError, Float32Array, UInt8Array
from tests import images
from tests.detection.conftest import SMALL
from tests.detection.test_decoding import BAD_INPUTS

FAST = {**SMALL, "preset": "fast"}


class Pictures:
    """A list of arrays as a source."""

    def __init__(self, *pictures: UInt8Array) -> None:
        self.pictures = pictures
        self.ids = [f"picture-{number}" for number in range(len(pictures))]

    def __len__(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[UInt8Array]:
        return iter(self.pictures)


def part(seed: int, *, height: int = 96, width: int = 128) -> UInt8Array:
    return images.part_pixels(seed, height=height, width=width)


def fit(source: Pictures, **settings: Any) -> Model:
    return fit_model(source, ids=source.ids, config={**FAST, **settings})


def write(folder: Path, **files: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / f"{name}.png").write_bytes(data)
    return folder


def normals(folder: Path, count: int = 4) -> Path:
    return write(folder, **{f"n{seed}": images.encode(part(seed)) for seed in range(count)})


@pytest.fixture
def model_folder(small_model: Model, tmp_path: Path) -> Path:
    save_model(small_model, tmp_path / "model")
    return tmp_path / "model"


# ---- fits through the library


def test_fewer_than_three_images_are_too_few() -> None:
    for source in (Pictures(), Pictures(part(1)), Pictures(part(1), part(2))):
        with pytest.raises(DetectionError, match=f"at least 3 .* there (is|are) {len(source)}"):
            fit(source)


def test_images_that_are_all_the_same_teach_nothing() -> None:
    with pytest.raises(DetectionError, match="same picture"):
        fit(Pictures(part(1), part(1), part(1)))


def test_an_image_of_the_wrong_kind_is_named_in_a_fit() -> None:
    wrong: list[tuple[Any, str]] = [
        (part(3)[:20, :40], "each side needs at least"),
        (part(3)[:, :, 0], "uint8, not"),
        (part(3).astype(np.float32), "float32"),
        (np.zeros((96, 128, 4), np.uint8), "uint8, not"),
        (np.zeros((0, 128, 3), np.uint8), "each side needs at least"),
    ]
    for picture, words in wrong:
        with pytest.raises(DetectionError, match=f"picture-2: .*{words}"):
            fit(Pictures(part(1), part(2), picture))


def test_sizes_may_be_mixed_and_very_long(small_model: Model) -> None:
    long, tall = part(4, height=40, width=2000), part(5, height=700, width=40)
    model = fit(Pictures(part(1), part(2, height=160, width=64), long, tall))
    for picture in (long, tall, part(6)):
        result = model.score(picture)
        assert result.map.shape == picture.shape[:2]
        assert np.isfinite(result.map).all()
        assert np.isfinite(result.score)
    assert small_model.score(long).map.shape == (40, 2000)


def test_a_tiny_image_is_refused_at_scoring(small_model: Model) -> None:
    with pytest.raises(DetectionError, match="each side needs at least"):
        small_model.score(part(1)[:31])


@pytest.mark.parametrize(
    "wrong",
    [{"side": 96.0}, {"bank_size": True}, {"threads": "4"}, {"candidates": None}, {"backbone": 7}],
)
def test_a_setting_of_a_wrong_type_is_named(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(DetectionError, match=f"{name} must be a "):
        fit(Pictures(part(1), part(2), part(3)), **wrong)


class Spoiled:
    """An engine that gives a NaN in one of its calls, counted over all engines."""

    def __init__(self, engine: Any, at: int, calls: list[int]) -> None:
        self.engine, self.at, self.calls = engine, at, calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def __call__(self, image: UInt8Array) -> list[Float32Array]:
        views: list[Float32Array] = self.engine(image)
        self.calls.append(1)
        if len(self.calls) == self.at:
            views[1][2, 1, 0] = np.nan
        return views


@pytest.mark.parametrize("at", [3, 7, 8])
def test_features_that_are_no_numbers_name_their_image(
    monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The third of four images while learning; the third and last call of the first fold."""
    build: Callable[..., Any] = build_engine
    calls: list[int] = []
    folds, _ = choose_folds(4, None, rng=np.random.default_rng(0))
    first = int(folds[0][0])
    others = [number for number in range(4) if number != first]
    named = f"picture-{[*range(4), *others, first][at - 1]}"

    def spoiled(*spec: Any, **settings: Any) -> Any:
        engine, *rest = build(*spec, **settings)
        return (Spoiled(engine, at, calls), *rest)

    monkeypatch.setattr(patchcore, "build_engine", spoiled)
    with pytest.raises(DetectionError, match=f"{named}: .*not finite numbers"):
        fit(Pictures(*(part(seed) for seed in range(4))))


def test_an_error_that_names_its_image_is_left_as_it_is() -> None:
    def results() -> Iterator[int]:
        yield 1
        raise FolderError("b.png: cut off")

    with pytest.raises(FolderError, match=r"^b\.png: cut off$"):
        list(named_in_order(results(), ["a.png", "b.png"]))
    assert list(named_in_order([1], ["a.png", "b.png"])) == [1]


# ---- folders


def test_every_unreadable_file_is_named_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = normals(tmp_path / "in")
    write(folder, cut=images.half_png(), empty=b"", tiny=images.encode(part(1)[:20]))
    arguments = ["fit", str(folder), "--out", str(tmp_path / "m"), "--preset", "fast"]
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert "3 of 7 images cannot be read" in told
    assert all(name in told for name in ("cut.png: ", "empty.png: ", "tiny.png: "))
    assert told.count("\n") == 1
    assert not (tmp_path / "m").exists()


def test_unreadable_files_are_skipped_counted_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = normals(tmp_path / "in")
    write(folder, cut=images.half_png())
    arguments = ["fit", str(folder), "--preset", "fast", "--skip-unreadable"]
    assert main([*arguments, "--out", str(tmp_path / "m"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["n_normal"] == 4
    assert [file["image"] for file in told["skipped"]] == ["cut.png"]
    assert told["skipped"][0]["reason"].startswith("The file is cut off")
    write(folder, **{f"n{seed}": b"x" for seed in range(3)})
    assert main([*arguments, "--out", str(tmp_path / "few")]) == 1
    assert "at least 3 normal images" in capsys.readouterr().err


def test_of_very_many_unreadable_files_ten_are_named(tmp_path: Path) -> None:
    folder = write(tmp_path, **{f"bad-{number:02d}": b"no image" for number in range(13)})
    seen: list[int] = []
    found = find_unreadable(
        read_folder(folder).normals, on_progress=lambda done, total, note: seen.append(done)
    )
    assert len(found) == seen[-1] == 13
    told = str(unreadable_error(found, 500))
    assert told.startswith("13 of 500 images cannot be read. bad-00.png: ")
    assert "bad-09.png" in told
    assert "bad-10.png" not in told
    assert told.endswith("And 3 more.")


def test_a_folder_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(folder: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    folder = normals(tmp_path / "in")
    monkeypatch.setattr(Path, "iterdir", refuse)
    assert main(["fit", str(folder), "--out", str(tmp_path / "m")]) == 1
    assert f"{folder} cannot be read (Permission denied)" in capsys.readouterr().err


def test_grey_images_teach_and_deep_ones_need_their_depth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(
        tmp_path / "in",
        grey=images.encode(part(1)[:, :, 0]),
        colour=images.encode(part(2)),
        deep=images.grey_16_bit(bits=12),
    )
    arguments = ["fit", str(folder), "--out", str(tmp_path / "m"), "--preset", "fast"]
    assert main(arguments) == 1
    assert "deep.png: This is a 16-bit grey image" in capsys.readouterr().err
    assert main([*arguments, "--bit-depth", "12"]) == 0
    assert "3 normal images" in capsys.readouterr().out


def test_a_mask_of_the_wrong_size_names_its_image(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    normals(data / "train/good", 1)
    normals(data / "test/good", 2)
    write(data / "test/spot", a=images.good_png(7, defect=True))
    write(data / "ground_truth/spot", a=images.encode(np.full((50, 40), 255, np.uint8)))
    assert main(["evaluate", str(model_folder), str(data), "--no-log"]) == 1
    told = capsys.readouterr().err
    assert "test/spot/a.png" in told
    assert "mask" in told


# ---- the command line


def test_a_place_that_is_taken_is_refused_before_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("detection.model.fit_model", None)  # calling it would be a traceback
    taken = write(tmp_path / "taken", photo=images.good_png())
    folder = normals(tmp_path / "in")
    assert main(["fit", str(folder), "--out", str(taken)]) == 1
    assert "taken: is there already and is not a saved model" in capsys.readouterr().err
    assert [path.name for path in taken.iterdir()] == ["photo.png"]


def test_what_is_no_model_says_so(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(images.good_png())
    damaged = model_folder / "scorer0.safetensors"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    for model, words in (
        (picture, "holds no saved model"),
        (tmp_path / "nowhere", "holds no saved model"),
        (model_folder, "scorer0.safetensors: was changed"),
    ):
        assert main(["score", str(model), str(picture)]) == 1
        told = capsys.readouterr()
        assert words in told.err
        assert told.err.count("\n") == 1
        assert told.out == ""


def test_an_error_is_json_where_json_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(tmp_path), "a.png", "--json"]) == 1
    told = capsys.readouterr()
    assert told.err.startswith(f"error: {MANIFEST_NAME}: ")
    assert told.err == f"error: {json.loads(told.out)['error']}\n"


def test_a_wrong_command_line_ends_in_another_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = normals(tmp_path / "in")
    out = ["--out", str(tmp_path / "m")]
    assert main(["fit", str(folder), *out, "--weights", "w.bin"]) == 2
    assert capsys.readouterr().err == "error: --weights needs --backbone.\n"
    for arguments in ([], ["fit", str(folder)], ["fit", str(folder), *out, "--threads", "0"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        capsys.readouterr()


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow grumbles about broken TIFF tags
def test_collected_bad_files_end_in_one_line_each(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = sorted(path for path in (BAD_INPUTS / "made").glob("*") if path.suffix != ".zip")
    if not made:
        pytest.skip("needs the bad-input files")
    refused = [path for path in made if not _is_decoded(path)][:12]
    assert len(refused) == 12
    for path in refused:
        assert main(["score", str(model_folder), str(path)]) == 1
        told = capsys.readouterr().err
        assert told.startswith(f"error: {path}: ")
        assert told.count("\n") == 1


def _is_decoded(path: Path) -> bool:
    try:
        return decode_image(path).size > 0
    except DecodeError:
        return False

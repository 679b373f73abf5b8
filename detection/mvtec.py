"""Folders of images as re-iterable sources: MVTec layout, or a flat folder of normals.

Reads only; decoding is `detection.decoding`'s. Not an intake: nothing is kept.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, overload

import numpy as np

from detection.decoding import DecodeError, decode_image
from detection.evaluation import LabelledSource
from detection.protocol import BoolArray, DetectionError, Progress, UInt8Array

SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"})
GOOD: Final = "good"
MOST_NAMED: Final = 10  # files named in one error; more would scroll the first away


class FolderError(DetectionError):
    """A folder that cannot be read as images; the message says what was looked for."""


class ImageFiles:
    """Image files as a source, by number or in order; each reading decodes them again.

    Args:
        paths: The files, in order.
        root: Ids are the paths below it, with forward slashes.
        bit_depth: Bits in use, for 16-bit grey files.
    """

    def __init__(self, paths: Sequence[Path], *, root: Path, bit_depth: int | None = None) -> None:
        self.paths = tuple(paths)
        self.ids = tuple(path.relative_to(root).as_posix() for path in self.paths)
        self._root = root
        self._bit_depth = bit_depth

    def without(self, ids: Collection[str]) -> "ImageFiles":
        """The same source less the images of these ids."""
        kept = [
            path for path, name in zip(self.paths, self.ids, strict=True) if name not in set(ids)
        ]
        return ImageFiles(kept, root=self._root, bit_depth=self._bit_depth)

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[UInt8Array]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> UInt8Array:
        """One image, decoded now; several threads may ask at once."""
        try:
            return decode_image(self.paths[number], bit_depth=self._bit_depth, compiled=True)
        except DecodeError as error:
            raise FolderError(f"{self.ids[number]}: {error.message}") from error


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that cannot be decoded.

    Attributes:
        id: Its path below the folder.
        reason: What is wrong and what to do.
    """

    id: str
    reason: str


def find_unreadable(
    files: ImageFiles, *, on_progress: Progress | None = None
) -> tuple[Unreadable, ...]:
    """All files that cannot be decoded, found by decoding each one.

    Args:
        files: The images.
        on_progress: Called after each file; may raise to stop.
    """
    found: list[Unreadable] = []
    for number, name in enumerate(files.ids):
        try:
            files[number]
        except FolderError as error:
            found.append(Unreadable(name, str(error).removeprefix(f"{name}: ")))
        if on_progress is not None:
            on_progress(number + 1, len(files), "checking images")
    return tuple(found)


def unreadable_error(found: Sequence[Unreadable], total: int) -> FolderError:
    """One error that names the unreadable files, the first ten of them with their reasons."""
    named = " ".join(f"{file.id}: {file.reason}" for file in found[:MOST_NAMED])
    rest = len(found) - MOST_NAMED
    more = f" And {rest} more." if rest > 0 else ""
    return FolderError(f"{len(found)} of {total} images cannot be read. {named}{more}")


class MaskFiles(Sequence[BoolArray | None]):
    """Mask files, read when asked for; None stands for an image without one."""

    def __init__(self, paths: Sequence[Path | None]) -> None:
        self.paths = tuple(paths)

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> BoolArray | None: ...
    @overload
    def __getitem__(self, index: slice) -> "MaskFiles": ...
    def __getitem__(self, index: int | slice) -> "BoolArray | MaskFiles | None":
        if isinstance(index, slice):
            return MaskFiles(self.paths[index])
        path = self.paths[index]
        return None if path is None else read_mask(path)


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """What a folder holds.

    Attributes:
        normals: To fit on, with ``ids``.
        labelled: To evaluate on; None where the folder has no test images.
    """

    normals: ImageFiles
    labelled: LabelledSource | None


def read_folder(directory: Path, *, bit_depth: int | None = None) -> ImageFolder:
    """Return the images of a folder in MVTec layout, or of a flat folder of normals.

    MVTec layout: ``train/good``, ``test/good``, ``test/<defect type>`` and, with masks of
    the same name (or the name with ``_mask``), ``ground_truth/<defect type>``.

    Args:
        directory: The folder. Files in it are sorted by name.
        bit_depth: Bits in use, for 16-bit grey files.

    Returns:
        Normals and, in MVTec layout with a test folder, labelled images.

    Raises:
        FolderError: No such folder, no images where they are expected, or a mask missing.

    Source: layout of MVTec AD, Bergmann et al. 2019.
    """
    if not directory.is_dir():
        raise FolderError(f"There is no folder {directory}.")
    if (directory / "train").is_dir():
        train = directory / "train" / GOOD
        paths = _images_in(train)
        if not paths:
            raise FolderError(f"{train} holds no images; normals are expected there.")
        test = directory / "test"
        labelled = _labelled(directory, bit_depth) if test.is_dir() else None
        return ImageFolder(ImageFiles(paths, root=directory, bit_depth=bit_depth), labelled)
    paths = _images_in(directory)
    if not paths:
        raise FolderError(
            f"{directory} holds neither images nor a train/{GOOD} folder. "
            "PNG, JPEG, TIFF and BMP are read."
        )
    return ImageFolder(ImageFiles(paths, root=directory, bit_depth=bit_depth), None)


def read_mask(path: Path) -> BoolArray:
    """Return a mask file as ``(height, width)`` bool; values of 0 and 1 count like 0 and 255."""
    try:
        grey = decode_image(path)[:, :, 0]
    except DecodeError as error:
        raise FolderError(f"Mask {path}: {error.message}") from error
    return np.asarray(grey > (127 if grey.max() > 1 else 0))


def _images_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
        )
    except OSError as error:
        raise FolderError(f"{folder} cannot be read ({error.strerror}).") from error


def _labelled(directory: Path, bit_depth: int | None) -> LabelledSource:
    paths: list[Path] = []
    types: list[str] = []
    masks: list[Path | None] = []
    for folder in sorted(path for path in (directory / "test").iterdir() if path.is_dir()):
        for path in _images_in(folder):
            is_good = folder.name == GOOD
            paths.append(path)
            types.append("" if is_good else folder.name)
            masks.append(None if is_good else _mask_of(path, directory / "ground_truth"))
    if not paths:
        raise FolderError(f"{directory / 'test'} holds no folders with images.")
    images = ImageFiles(paths, root=directory, bit_depth=bit_depth)
    return LabelledSource(
        images,
        [bool(name) for name in types],
        ids=images.ids,
        defect_types=types,
        masks=MaskFiles(masks),
    )


def _mask_of(path: Path, ground_truth: Path) -> Path | None:
    folder = ground_truth / path.parent.name
    if not folder.is_dir():
        return None  # a defect type without masks still counts for the image figures
    for name in (f"{path.stem}.png", f"{path.stem}_mask.png", path.name):
        if (folder / name).is_file():
            return folder / name
    raise FolderError(f"{folder} has no mask for {path.name} (looked for {path.stem}.png).")

"""What a saved model says about itself, and whether its files are the ones that were saved.

Read, checked and written without any engine. What is in the files is `detection.artifact`'s.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeVar

from detection.protocol import DetectionError

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 3
MAX_MANIFEST_BYTES = 64 << 20  # ids of 100,000 images take a tenth of that
# How often a model is read anew because another took its place while it was read.
_TRIES = 5
_SHA256 = re.compile(r"[0-9a-f]{64}")

_Read = TypeVar("_Read")


class ArtifactError(DetectionError):
    """A saved model is damaged, altered, or of another format.

    Attributes:
        part: The file that is wrong.
    """

    def __init__(self, part: str, message: str) -> None:
        super().__init__(f"{part}: {message}")
        self.part = part


@dataclass(frozen=True, slots=True)
class Manifest:
    """The description of a saved model.

    Attributes:
        format_version: Of the directory's layout.
        method: Name of the detector's method.
        config: The detector's settings and JSON state.
        backbone: Name of its network, empty where it has none.
        packages: Versions of the packages that fitted it.
        seed: What the fit drew from.
        calibration: Kind, number of scores and of groups, names of the lots, ids of the images.
        pixel_threshold: Of the maps, feature units.
        heat_range: Lower and upper end of the colour scale, feature units.
        metrics: Figures measured after the fit, free-form JSON.
        parts: File name -> sha256 of its bytes.
        sha256: Of all of the above, so that the manifest itself cannot change unseen.
    """

    format_version: int
    method: str
    config: Mapping[str, Any]
    backbone: str
    packages: Mapping[str, str]
    seed: int
    calibration: Mapping[str, Any]
    pixel_threshold: float
    heat_range: tuple[float, float]
    metrics: Mapping[str, Any]
    parts: Mapping[str, str]
    sha256: str = ""

    def to_json(self) -> dict[str, Any]:
        """The manifest as JSON types, its own digest filled in."""
        data = {**asdict(self), "heat_range": list(self.heat_range)}
        data["sha256"] = _digest_of(data)
        return data


def _digest_of(data: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in data.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _text_of(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_manifest(manifest: Manifest, directory: Path) -> Manifest:
    """Write the manifest into the directory; returns it with its digest.

    Raises:
        ArtifactError: It could not be read again, such as a threshold that is not a number.
    """
    data = manifest.to_json()
    try:
        text = _text_of(data)
    except ValueError as error:
        raise ArtifactError(MANIFEST_NAME, f"cannot be written ({error}).") from error
    (directory / MANIFEST_NAME).write_text(text, encoding="utf-8")
    return _from_json(data)


def read_manifest(directory: Path) -> Manifest:
    """The description of the model saved in ``directory``; the parts are not looked at.

    Raises:
        ArtifactError: There is none, it cannot be read, was altered, or is of another format.
    """
    return _read_steadily(directory, _manifest_in)


def read_parts(directory: Path) -> tuple[Manifest, dict[str, bytes]]:
    """The description and the bytes of every part, each hashed as it was read.

    All come from one saved model, even while another one takes its place.

    Raises:
        ArtifactError: As ``read_manifest``, or a part is missing, altered, a link, or not in the
            manifest; it is named.
    """

    def read(folder: int) -> tuple[Manifest, dict[str, bytes]]:
        manifest = _manifest_in(folder)
        _check_names(manifest, folder)
        parts: dict[str, bytes] = {}
        for name, wanted in sorted(manifest.parts.items()):
            with _opened(folder, name) as file:
                parts[name] = file.read()
            _check_digest(name, hashlib.sha256(parts[name]).hexdigest(), wanted)
        return manifest, parts

    return _read_steadily(directory, read)


def check_parts(manifest: Manifest, directory: Path) -> None:
    """Hash every part and compare.

    Raises:
        ArtifactError: A part is missing, altered, a link, or not in the manifest; it is named.
    """
    with _folder(directory) as folder:
        _check_names(manifest, folder)
        for name, wanted in sorted(manifest.parts.items()):
            with _opened(folder, name) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            _check_digest(name, digest, wanted)


def _read_steadily(directory: Path, read: Callable[[int], _Read]) -> _Read:
    """What ``read`` makes of the opened folder; again where another took its place meanwhile."""
    for attempt in range(_TRIES):
        with _folder(directory) as folder:
            try:
                return read(folder)
            except ArtifactError:
                if attempt == _TRIES - 1 or _is_still(directory, folder):
                    raise
    raise AssertionError("the last attempt returns or raises")


def _is_still(directory: Path, folder: int) -> bool:
    try:
        return os.path.samestat(directory.stat(), os.fstat(folder))
    except OSError:
        return True  # gone, not replaced


@contextmanager
def _folder(directory: Path) -> Iterator[int]:
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        raise ArtifactError(MANIFEST_NAME, f"{directory} holds no saved model.") from None
    except OSError as error:
        raise ArtifactError(
            MANIFEST_NAME, f"{directory} cannot be read ({error.strerror})."
        ) from error
    try:
        yield folder
    finally:
        os.close(folder)


@contextmanager
def _opened(folder: int, name: str) -> Iterator[BufferedReader]:
    """A plain file of the folder; a link could lead to bytes that were never saved."""
    if not name or Path(name).name != name:
        raise ArtifactError(name, "lies outside the model's directory.")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe would wait for its writer
    try:
        with open(os.open(name, flags, dir_fd=folder), "rb") as file:  # noqa: PTH123  # a handle
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ArtifactError(name, "is not a plain file.")
            yield file
    except FileNotFoundError:
        raise ArtifactError(name, "is missing.") from None
    except (OSError, ValueError) as error:
        if isinstance(error, ArtifactError):
            raise
        if isinstance(error, OSError) and error.errno == errno.ELOOP:
            raise ArtifactError(name, "is a link; a saved model has files of its own.") from None
        raise ArtifactError(name, f"cannot be read ({error}).") from error


def _manifest_in(folder: int) -> Manifest:
    if MANIFEST_NAME not in os.listdir(folder):
        raise ArtifactError(MANIFEST_NAME, "is missing: the folder holds no saved model.")
    with _opened(folder, MANIFEST_NAME) as file:
        content = file.read(MAX_MANIFEST_BYTES + 1)
    if len(content) > MAX_MANIFEST_BYTES:
        raise ArtifactError(MANIFEST_NAME, f"is over {MAX_MANIFEST_BYTES >> 20} MB.")
    try:
        text = content.decode()
        data = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(MANIFEST_NAME, f"cannot be read ({error}).") from error
    found = data.get("format_version") if isinstance(data, dict) else None
    if found != FORMAT_VERSION or isinstance(found, bool):
        named = f"of format {found}" if isinstance(found, int) else "of no known format"
        raise ArtifactError(
            MANIFEST_NAME,
            f"is {named}; this version reads format {FORMAT_VERSION}. Fit the model again.",
        )
    # The text too: only what was written may be read, down to spaces and doubled keys.
    if data.get("sha256") != _digest_of(data) or text != _text_of(data):
        raise ArtifactError(MANIFEST_NAME, "was changed after the model was saved.")
    try:
        return _from_json(data)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ArtifactError(
            MANIFEST_NAME, f"lacks a field or has a wrong one ({error})."
        ) from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")


# Field -> its JSON type. ``bool`` is an ``int`` to Python and is refused apart.
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "format_version": int,
    "method": str,
    "config": dict,
    "backbone": str,
    "packages": dict,
    "seed": int,
    "calibration": dict,
    "pixel_threshold": (int, float),
    "heat_range": list,
    "metrics": dict,
    "parts": dict,
    "sha256": str,
}


def _from_json(data: Mapping[str, Any]) -> Manifest:
    for name, wanted in _TYPES.items():
        if not isinstance(data[name], wanted) or isinstance(data[name], bool):
            raise TypeError(f"{name} is {type(data[name]).__name__}")
    low, high = (float(value) for value in data["heat_range"])
    threshold = float(data["pixel_threshold"])
    if not math.isfinite(threshold) or not -math.inf < low < high < math.inf:
        raise ValueError("pixel_threshold and heat_range must be finite and rising")
    for name, sha256 in data["parts"].items():
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise ValueError(f"{name} has no sha256")
    return Manifest(**{**data, "pixel_threshold": threshold, "heat_range": (low, high)})


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_digest(name: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise ArtifactError(name, "was changed after the model was saved.")


def _check_names(manifest: Manifest, folder: int) -> None:
    known = {*manifest.parts, MANIFEST_NAME}
    if strange := sorted(set(os.listdir(folder)) - known):
        raise ArtifactError(strange[0], "does not belong to the saved model.")

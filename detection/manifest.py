"""What a saved model says about itself: read, checked and written without any engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from detection.protocol import DetectionError

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 2
_BLOCK_BYTES = 1 << 20


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


def write_manifest(manifest: Manifest, directory: Path) -> Manifest:
    """Write the manifest into the directory; returns it with its digest."""
    data = manifest.to_json()
    text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (directory / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")
    return _from_json(data)


def read_manifest(directory: Path) -> Manifest:
    """The description of the model saved in ``directory``; the parts are not looked at.

    Raises:
        ArtifactError: There is none, it cannot be read, was altered, or is of another format.
    """
    path = directory / MANIFEST_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(MANIFEST_NAME, f"{directory} holds no saved model.") from None
    except (OSError, ValueError) as error:
        raise ArtifactError(MANIFEST_NAME, f"cannot be read ({error}).") from error
    found = data.get("format_version") if isinstance(data, dict) else None
    if found != FORMAT_VERSION:
        named = f"of format {found}" if isinstance(found, int) else "of no known format"
        raise ArtifactError(
            MANIFEST_NAME,
            f"is {named}; this version reads format {FORMAT_VERSION}. Fit the model again.",
        )
    if data.get("sha256") != _digest_of(data):
        raise ArtifactError(MANIFEST_NAME, "was changed after the model was saved.")
    try:
        return _from_json(data)
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            MANIFEST_NAME, f"lacks a field or has a wrong one ({error})."
        ) from error


def _from_json(data: Mapping[str, Any]) -> Manifest:
    values = dict(data)
    low, high = values["heat_range"]
    values["heat_range"] = (float(low), float(high))
    return Manifest(**values)


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def check_parts(manifest: Manifest, directory: Path) -> None:
    """Hash every part and compare.

    Raises:
        ArtifactError: A part is missing, altered, or not in the manifest; it is named.
    """
    for name, wanted in sorted(manifest.parts.items()):
        if Path(name).name != name:
            raise ArtifactError(name, "lies outside the model's directory.")
        path = directory / name
        if not path.is_file():
            raise ArtifactError(name, "is missing.")
        if file_sha256(path) != wanted:
            raise ArtifactError(name, "was changed after the model was saved.")
    known = {*manifest.parts, MANIFEST_NAME}
    if strange := sorted(path.name for path in directory.iterdir() if path.name not in known):
        raise ArtifactError(strange[0], "does not belong to the saved model.")

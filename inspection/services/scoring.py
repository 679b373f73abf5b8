"""One image through the model: pixels, health, score, heat. Computes; the job writes the rows.

Runs in workers only: engines load inside the functions.
"""

import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detection.decoding import decode_image
from detection.health import Health, HealthReference, measure_health
from detection.protocol import Float32Array, UInt8Array
from inspection.blobs import blob_store
from inspection.errors import DomainError
from inspection.models import HealthSample, Image, ModelVersion, Score, View
from inspection.services import registry

if TYPE_CHECKING:
    from detection.model import ImageResult

# Maps are smooth: the fastest level is within a tenth of the best one's size.
PNG_LEVEL: Final = 1


class ScoreError(DomainError):
    """A model answered with something that is no score."""

    status = 500
    code = "no_score"


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of an image after the worker has looked at it; nothing is written yet."""

    health: Health
    unhealthy: tuple[str, ...]
    result: "ImageResult"
    heat_png: bytes
    milliseconds: float


def image_measure(
    image: Image, version: ModelVersion, *, on_loaded: Callable[[], None] | None = None
) -> Measured:
    """Decode, check and score one image.

    Args:
        image: With ``view``, ``station`` and the view's ``station`` at hand.
        version: What scores it.
        on_loaded: Called once the model is in memory, which may have taken seconds.

    Raises:
        DecodeError: The stored file has no pixels to give.
        ArtifactError: The stored model is not whole.
        ScoreError: The score is not a number.
    """
    model = registry.version_load(version)
    if on_loaded is not None:
        on_loaded()
    started = time.perf_counter()
    pixels = image_pixels(image)
    reference = health_reference(image.view)
    health = measure_health(pixels, reference)
    unhealthy = tuple(reference.reasons(health)) if reference is not None else ()
    result = model.score(pixels)
    if not np.isfinite([result.score, result.surprise]).all():
        raise ScoreError("The model gave no number for this image.")
    heat = heat_encode(result.map, version.heat_top)
    milliseconds = 1000 * (time.perf_counter() - started)
    return Measured(health, unhealthy, result, heat, milliseconds)


def image_pixels(image: Image) -> UInt8Array:
    """Return the upright pixels: of the derived copy where there is one, else of the original."""
    sha256 = image.derived_id or image.blob_id
    station = image.station or image.view.station
    bit_depth = station.bit_depth if station is not None else None
    return decode_image(blob_store().read(sha256), bit_depth=bit_depth, compiled=True)


def health_reference(view: View) -> HealthReference | None:
    """Return what healthy images of the view look like, once a first fit has learnt it."""
    if not view.health_reference:
        return None
    return HealthReference.from_json(view.health_reference)


def heat_encode(heat: Float32Array, top: float) -> bytes:
    """Return the map as an 8-bit grey PNG: 0 is 0, 255 is ``top`` and everything above it.

    Args:
        heat: ``(height, width)`` float32, feature units.
        top: The version's ``heat_top``: one fixed scale for all its images.
    """
    import cv2

    # Rounds and saturates in one pass, a tenth of numpy's time; z-scores can be below zero.
    grey = cv2.convertScaleAbs(np.maximum(heat, 0), alpha=255 / max(top, 1e-9))
    made, data = cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    if not made:
        raise ScoreError("The heat map could not be written.")
    return bytes(data)


def score_row(
    *, image: Image, version: ModelVersion, measured: Measured, heat_sha256: str, scored_at: Any
) -> Score:
    """Return the score as a row that is not saved yet."""
    result = measured.result
    return Score(
        image=image,
        model_version=version,
        value=float(result.score),
        surprise=float(result.surprise),
        heat_id=heat_sha256,
        regions=[asdict(region) for region in result.regions],
        explanation=asdict(result.explanation) if result.explanation is not None else None,
        embedding=floats_pack(result.embedding),
        region_embedding=floats_pack(result.region_embedding),
        backbone=str(version.manifest.get("backbone", ""))[:80],
        milliseconds=round(measured.milliseconds, 2),
        scored_at=scored_at,
    )


def health_row(*, image: Image, measured: Measured) -> HealthSample:
    """Return the health sample as a row that is not saved yet."""
    health = measured.health
    return HealthSample(
        image=image,
        brightness=health.brightness,
        contrast=health.contrast,
        sharpness=health.sharpness,
        shift_px=health.shift_px,
        is_healthy=not measured.unhealthy,
        reasons=list(measured.unhealthy),
    )


def floats_pack(values: Sequence[float] | Float32Array | None) -> bytes | None:
    """Return float32 numbers as little-endian bytes, the form in which embeddings are kept."""
    if values is None:
        return None
    return np.asarray(values, dtype="<f4").tobytes()


def floats_unpack(data: bytes | memoryview | None) -> Float32Array | None:
    """Return the numbers that ``floats_pack`` wrote."""
    if data is None:
        return None
    if len(data) % struct.calcsize("<f"):
        raise ScoreError("A stored embedding is cut.")
    return np.frombuffer(data, dtype="<f4").astype(np.float32)

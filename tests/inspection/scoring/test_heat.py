"""The heat map's grey levels, and embeddings as bytes."""

import io

import numpy as np
import pytest
from PIL import Image as Picture

from inspection.services.scoring import ScoreError, floats_pack, floats_unpack, heat_encode


def _grey(heat: np.ndarray, top: float) -> np.ndarray:
    return np.asarray(Picture.open(io.BytesIO(heat_encode(heat, top))))


def test_grey_is_the_share_of_the_fixed_top() -> None:
    heat = np.array([[-3.0, 0.0, 1.0], [2.5, 5.0, 900.0]], np.float32)
    assert _grey(heat, 5.0).tolist() == [[0, 0, 51], [128, 255, 255]]


def test_grey_agrees_with_the_plain_formula() -> None:
    heat = np.random.default_rng(7).normal(2, 3, (37, 53)).astype(np.float32)
    plain = np.clip(np.rint(heat * np.float32(255 / 6)), 0, 255)
    assert np.abs(_grey(heat, 6.0) - plain).max() <= 1
    assert _grey(heat, 6.0).shape == (37, 53)


def test_embeddings_survive_as_bytes() -> None:
    values = np.array([1.5, -2.25, 3e-8], np.float32)
    packed = floats_pack(values)
    assert packed is not None
    assert len(packed) == 12
    restored = floats_unpack(memoryview(packed))
    assert restored is not None
    assert np.array_equal(restored, values)
    assert floats_pack(None) is None
    assert floats_unpack(None) is None
    with pytest.raises(ScoreError):
        floats_unpack(packed[:5])

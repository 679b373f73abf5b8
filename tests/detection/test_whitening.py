import numpy as np
import pytest

from detection.protocol import DetectionError
from detection.whitening import fit_whitening, moments


def test_moments_over_several_chunks() -> None:
    features = np.random.default_rng(0).normal(size=(20_000, 5)).astype(np.float32)
    mean, covariance = moments(features)
    np.testing.assert_allclose(mean, features.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(covariance, np.cov(features.T, bias=True), atol=1e-5)


def test_directions_become_alike_and_uncorrelated() -> None:
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(5000, 6)) * [9, 5, 3, 2, 1, 0.5] @ rng.normal(size=(6, 6))) + 4
    white = fit_whitening(features.astype(np.float32), shrink=0.0).apply(features.astype("f4"))
    covariance = np.cov(white.T, bias=True) * 6
    np.testing.assert_allclose(covariance, np.eye(6), atol=1e-3)
    np.testing.assert_allclose(white.mean(axis=0), 0.0, atol=1e-3)


def test_typical_length_is_near_one_whatever_the_width() -> None:
    rng = np.random.default_rng(0)
    for width in (10, 200):
        features = rng.normal(size=(3000, width)).astype(np.float32)
        lengths = np.linalg.norm(fit_whitening(features).apply(features), axis=1)
        assert lengths.mean() == pytest.approx(1.0, abs=0.1)


def test_shrinkage_keeps_noise_small() -> None:
    rng = np.random.default_rng(0)
    features = np.hstack([rng.normal(size=(2000, 1)), 1e-6 * rng.normal(size=(2000, 1))])
    white = fit_whitening(features.astype(np.float32), shrink=0.01).apply(features.astype("f4"))
    assert white[:, 1].std() < 1e-3 * white[:, 0].std()


def test_keeps_the_leading_directions_only() -> None:
    features = np.random.default_rng(0).normal(size=(400, 30)).astype(np.float32)
    assert fit_whitening(features, components=7).matrix.shape == (30, 7)


def test_refuses_features_that_do_not_vary() -> None:
    with pytest.raises(DetectionError, match="no variation"):
        fit_whitening(np.full((100, 4), 2.5, np.float32))

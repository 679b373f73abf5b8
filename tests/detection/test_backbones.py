from pathlib import Path

import numpy as np
import pytest

from detection import backbones
from detection.backbones import (
    BackboneSpec,
    OpenVinoEngine,
    TorchEngine,
    build_network,
    define_missing_torchvision_operators,
    load_by_order,
    to_graph,
)
from detection.protocol import DetectionError


def test_default_reads_three_strides_with_its_packaged_weights() -> None:
    network, spec = build_network(BackboneSpec())
    assert spec.layers == ("blocks.2", "blocks.4", "blocks.5")
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    shapes = [layer.shape for layer in TorchEngine(network)(image)]
    assert shapes == [(40, 8, 12), (112, 4, 6), (192, 2, 3)]
    # Half grey is zero for these weights; ImageNet's mean and deviation would be wrong.
    assert float(network.mean.max()) == float(network.std.max()) == 127.5  # type: ignore[operator]


def test_openvino_agrees_with_torch_on_any_size() -> None:
    network, _ = build_network(BackboneSpec())
    fast, reference = OpenVinoEngine(to_graph(network)), TorchEngine(network)
    for size in ((64, 96), (160, 32)):
        image = np.random.default_rng(1).integers(0, 255, (*size, 3), np.uint8)
        for ours, theirs in zip(fast(image), reference(image), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


def test_openvino_results_survive_the_next_image() -> None:
    network, _ = build_network(BackboneSpec())
    engine = OpenVinoEngine(to_graph(network))
    rng = np.random.default_rng(2)
    image = rng.integers(0, 255, (64, 64, 3), np.uint8)
    kept = image.copy()
    first = engine(image)
    copies = [layer.copy() for layer in first]
    engine(rng.integers(0, 255, (64, 64, 3), np.uint8))
    np.testing.assert_array_equal(image, kept)
    for layer, copy in zip(first, copies, strict=True):
        np.testing.assert_array_equal(layer, copy)


def test_another_timm_network_with_a_local_file(tmp_path: Path) -> None:
    import timm
    import torch

    torch.manual_seed(0)
    weights = tmp_path / "weights.pth"
    torch.save(timm.create_model("resnet18").state_dict(), weights)
    network, spec = build_network(BackboneSpec("resnet18", weights=str(weights)))
    assert spec.layers == ("layer2", "layer3", "layer4")
    layers = TorchEngine(network)(np.zeros((64, 64, 3), np.uint8))
    assert [layer.shape for layer in layers] == [(128, 8, 8), (256, 4, 4), (512, 2, 2)]


def test_weights_must_fit_the_network(tmp_path: Path) -> None:
    import torch

    network = torch.nn.Linear(3, 2)
    weights = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(2, 3)}, weights)
    with pytest.raises(DetectionError, match="1 tensors instead of 2"):
        load_by_order(network, weights)
    torch.save({"a": torch.zeros(3, 2), "b": torch.zeros(2)}, weights)
    with pytest.raises(DetectionError, match="another shape"):
        load_by_order(network, weights)
    torch.save({"a": torch.ones(2, 3), "n.num_batches_tracked": 5, "b": torch.ones(2)}, weights)
    load_by_order(network, weights)
    assert float(network.weight.detach().sum()) == 6.0


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (BackboneSpec("no_such_model"), "no timm model"),
        (BackboneSpec(layers=("blocks.99",)), "no layer named blocks.99"),
        (BackboneSpec("resnet18", weights="/nowhere.pth"), "could not be had"),
    ],
)
def test_says_what_is_wrong_with_a_spec(spec: BackboneSpec, words: str) -> None:
    with pytest.raises(DetectionError, match=words):
        build_network(spec)


def test_working_torchvision_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "_torchvision_operators_load", lambda: True)
    kept = len(backbones._KEPT_LIBRARIES)
    assert define_missing_torchvision_operators() is False
    assert len(backbones._KEPT_LIBRARIES) == kept


def test_operators_are_defined_only_once() -> None:
    define_missing_torchvision_operators()
    assert define_missing_torchvision_operators() is False

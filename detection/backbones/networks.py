"""A timm network as one frozen module: normalise, run to the last wanted layer, join the views."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from detection.backbones.specs import BackboneSpec, View
from detection.backbones.torchvision_operators import define_missing_torchvision_operators
from detection.backbones.weights import load_by_order, packaged_file
from detection.protocol import DetectionError

if TYPE_CHECKING:
    import torch

# The end of stage 3, 5 and 6: stride 8, 16 and 32. Stage 7 only repeats stage 6 with more channels.
EFFICIENTNET_LAYERS = ("blocks.2", "blocks.4", "blocks.5")
# Finer steps of the working size keep the aspect no better and give every image its own size.
MIN_MULTIPLE_PX = 28
# A multiple of the strides 4 to 32 and of the patch sizes 14 and 16.
_PROBE_SIDE_PX = 224


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

    The returned module takes ``(1, height, width, 3)`` uint8 with both sides multiples of its
    ``multiple``, normalises it the way its weights want, and returns one
    ``(1, rows, cols, channels)`` tensor per view of the spec. What comes after the last layer is
    not computed. It may be called from several threads.

    Raises:
        DetectionError: An unknown model or layer name, or weights that are missing or do not fit.
    """
    import torch

    define_missing_torchvision_operators()
    import timm

    if not timm.is_model(spec.name):
        raise DetectionError(f"There is no timm model named {spec.name!r}.")
    packaged = None if spec.weights else packaged_file(spec.name)
    try:
        network = _create(spec, pretrained=not (spec.weights or packaged))
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
    joined = _joined_class()(
        network, layers, torch.tensor(mean), torch.tensor(std), views=spec.views
    )
    return joined.eval(), replace(spec, layers=layers)


def _create(spec: BackboneSpec, *, pretrained: bool) -> Any:
    import timm

    options: dict[str, Any] = {"checkpoint_path": spec.weights} if spec.weights else {}
    try:
        # Transformers take one size of image unless they are told otherwise.
        return timm.create_model(spec.name, pretrained=pretrained, dynamic_img_size=True, **options)
    except TypeError:  # convolutions take any size and do not know the option
        return timm.create_model(spec.name, pretrained=pretrained, **options)


class _ReachedSignal(Exception):  # noqa: N818 - not an error
    """Raised inside a forward pass once the last wanted layer was seen."""


def _joined_class() -> type[Any]:
    import torch
    from torch.nn import functional

    class Joined(torch.nn.Module):
        """Pixels in; the views of a cut network, channels last, out."""

        mean: torch.Tensor
        std: torch.Tensor

        def __init__(
            self,
            network: torch.nn.Module,
            layers: Sequence[str],
            mean: torch.Tensor,
            std: torch.Tensor,
            *,
            views: Sequence[View],
        ) -> None:
            super().__init__()
            self.network = network
            self.layers = list(layers)
            self.prefix_tokens = int(getattr(network, "num_prefix_tokens", 0))
            self.channels_last = getattr(network, "output_fmt", "NCHW") == "NHWC"
            self.register_buffer("mean", mean.reshape(1, 3, 1, 1) * 255.0)
            self.register_buffer("std", std.reshape(1, 3, 1, 1) * 255.0)
            # One set of outputs per thread: several images may be on their way at once.
            self.seen = threading.local()
            for layer in self.layers:
                network.get_submodule(layer).register_forward_hook(self._hook(layer))
            self.strides, channels = self._probe()
            self.views = list(views)
            for view in self.views:
                grid = self._grid_stride(view)
                for number in view.layers_of(len(self.layers)):
                    stride = self.strides[number]
                    if stride % grid and grid % stride:
                        raise DetectionError(
                            f"Layers of {stride} and {grid} pixels per cell share no grid; choose "
                            "layers whose strides divide each other."
                        )
            self.widths = [
                [channels[number] for number in view.layers_of(len(self.layers))]
                for view in self.views
            ]
            shared = math.lcm(*self.strides)
            self.multiple = shared * math.ceil(MIN_MULTIPLE_PX / shared)

        def _hook(self, layer: str) -> Any:
            def keep(_module: Any, _inputs: Any, output: Any) -> None:
                self.seen.outputs[layer] = output
                if len(self.seen.outputs) == len(self.layers):
                    raise _ReachedSignal

            return keep

        def _run(self, batch: torch.Tensor) -> list[torch.Tensor]:
            self.seen.outputs = {}
            with suppress(_ReachedSignal):
                self.network(batch)
            outputs = self.seen.outputs
            self.seen.outputs = {}
            return [outputs[layer] for layer in self.layers]

        def _probe(self) -> tuple[list[int], list[int]]:
            """Pixels per cell and channels of each layer, from one run on a square."""
            with torch.no_grad():
                outputs = self._run(torch.zeros((1, 3, _PROBE_SIDE_PX, _PROBE_SIDE_PX)))
            strides: list[int] = []
            channels: list[int] = []
            for layer, output in zip(self.layers, outputs, strict=True):
                if output.ndim == 3:
                    rows = math.isqrt(output.shape[1] - self.prefix_tokens)
                    channels.append(int(output.shape[2]))
                elif output.ndim == 4:
                    rows = int(output.shape[1 if self.channels_last else 2])
                    channels.append(int(output.shape[3 if self.channels_last else 1]))
                else:
                    raise DetectionError(f"The layer {layer} gives no grid of features.")
                strides.append(_PROBE_SIDE_PX // max(1, rows))
            return strides, channels

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            batch = (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std
            grids = [
                self._as_grid(output, stride, batch)
                for output, stride in zip(self._run(batch), self.strides, strict=True)
            ]
            return tuple(self._view(view, grids).permute(0, 2, 3, 1) for view in self.views)

        def _grid_stride(self, view: View) -> int:
            return self.strides[min(view.grid, len(self.layers) - 1)]

        def _view(self, view: View, grids: Sequence[torch.Tensor]) -> torch.Tensor:
            parts = [
                self._on_grid(grids[number], self.strides[number], self._grid_stride(view))
                for number in view.layers_of(len(grids))
            ]
            joined = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
            if view.pooling == 1:
                return joined
            # At the border the mean is over the cells that there are.
            return functional.avg_pool2d(
                joined,
                view.pooling,
                stride=1,
                padding=view.pooling // 2,
                count_include_pad=False,
            )

        def _as_grid(self, output: torch.Tensor, stride: int, batch: torch.Tensor) -> torch.Tensor:
            if output.ndim == 3:  # tokens of a transformer
                tokens = output[:, self.prefix_tokens :].transpose(1, 2)
                return tokens.reshape(1, tokens.shape[1], batch.shape[2] // stride, -1)
            return output.permute(0, 3, 1, 2) if self.channels_last else output

        def _on_grid(self, grid: torch.Tensor, stride: int, wanted: int) -> torch.Tensor:
            """Averages where the layer is finer than wanted, linear between centres if coarser."""
            if stride < wanted:
                return functional.avg_pool2d(grid, wanted // stride)
            if stride > wanted:
                return functional.interpolate(
                    grid,
                    scale_factor=float(stride // wanted),
                    mode="bilinear",
                    align_corners=False,
                    recompute_scale_factor=False,
                )
            return grid

    return Joined

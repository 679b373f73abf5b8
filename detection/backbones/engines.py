"""Engines: what runs a frozen network on one image. One interface, equal features.

Each image is computed by one thread, so that its features do not depend on how many threads
there are; several threads may call one engine at once.
"""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from detection.backbones.cache import digest_of, read_entry, write_entry
from detection.backbones.graphs import FACTS_KEY, LAYOUT, LAYOUT_KEY, CompiledGraph, graph_of
from detection.backbones.networks import build_network
from detection.backbones.specs import BackboneSpec
from detection.protocol import DetectionError, Float32Array, UInt8Array

if TYPE_CHECKING:
    import torch

ENGINES = ("auto", "openvino", "torch")
PRECISIONS = ("f32", "bf16")
# Compiling for one size takes 0.7 s and then saves a tenth of each image's time (3.5 of 34 ms at
# 384 x 384, 2.5 of 13 ms at 224 x 224).
IMAGES_BEFORE_FIXED_SIZE = 200
MAX_FIXED_SIZES = 4


Widths = tuple[tuple[int, ...], ...]


class Engine(Protocol):
    """Runs a network on one image.

    Attributes:
        name: ``openvino`` or ``torch``.
        multiple: Both sides of an image must be multiples of it, pixels.
        widths: Per view the channels of each of its layers, in the order they are joined.
    """

    name: str
    multiple: int
    widths: Widths

    def __call__(self, image: UInt8Array) -> list[Float32Array]:
        """``(height, width, 3)`` uint8 in; per view ``(rows, cols, channels)`` float32 out.

        The arrays belong to the caller.
        """
        ...


def build_engine(
    spec: BackboneSpec,
    *,
    name: str = "auto",
    graph: CompiledGraph | None = None,
    precision: str = "f32",
    device: str = "cpu",
    threads: int = 1,
    cache: Path | None = None,
) -> tuple[Engine, BackboneSpec, CompiledGraph | None]:
    """The engine for a network, its spec made complete, and its graph where the engine has one.

    Args:
        spec: Which network.
        name: ``auto`` (openvino where installed, unless a device is asked for), ``openvino`` or
            ``torch``.
        graph: The network's graph where it was kept, as in a saved model; nothing is built then.
        precision: ``f32``, or ``bf16`` for openvino; what a bank was learned in, it is scored in.
        device: ``cpu``, or ``cuda`` (or ``cuda:1`` and so on) for torch.
        threads: Images that may be computed at once.
        cache: Folder that keeps graphs and compiled graphs between processes; None for none.

    Raises:
        DetectionError: A value that is not offered, a package, device or precision that is not
            here, or an unknown network.
    """
    if name not in ENGINES:
        raise DetectionError(f"engine must be {', '.join(ENGINES[:-1])} or {ENGINES[-1]}.")
    if precision not in PRECISIONS:
        raise DetectionError(f"precision must be {' or '.join(PRECISIONS)}.")
    if name == "auto":
        name = "openvino" if device == "cpu" and openvino_is_installed() else "torch"
    if name == "torch":
        if precision != "f32":
            raise DetectionError(f"The torch engine runs in f32; {precision} needs openvino.")
        network, complete = build_network(spec)
        return TorchEngine(network, device=device), complete, None
    if device != "cpu":
        raise DetectionError(f"The openvino engine runs on the CPU; {device} needs torch.")
    if not openvino_is_installed():
        raise DetectionError("openvino is not installed; install it or use the torch engine.")
    complete = spec
    if graph is None:
        graph, complete = graph_of(spec, cache=cache)
    engine = OpenVinoEngine(graph, threads=threads, precision=precision, cache=cache)
    return engine, complete, graph


def openvino_is_installed() -> bool:
    """Whether the fast engine can be used here."""
    return importlib.util.find_spec("openvino") is not None


class TorchEngine:
    """The reference engine: eager torch in float32, on the CPU or a CUDA device."""

    name = "torch"

    def __init__(self, network: torch.nn.Module, *, device: str = "cpu") -> None:
        """
        Args:
            network: From ``build_network``.
            device: ``cpu``, ``cuda`` or ``cuda:1`` and so on.

        Raises:
            DetectionError: There is no such device here.
        """
        _check_device(device)
        self.network = network.to(device)
        self.multiple = int(network.multiple)  # type: ignore[arg-type]
        self.widths = _widths(network.widths)
        self.device = device

    def __call__(self, image: UInt8Array) -> list[Float32Array]:
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(image))[None].to(self.device)
        with torch.inference_mode(), _TORCH_SETTINGS.held():
            views = [view[0].contiguous().cpu() for view in self.network(pixels)]
        return [view.numpy() for view in views]


def _check_device(device: str) -> None:
    import torch

    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or not (number == "" or number.isdecimal()):
        raise DetectionError(f"device must be cpu, cuda or cuda:NUMBER, not {device!r}.")
    if kind == "cuda":
        if not torch.cuda.is_available():
            raise DetectionError("There is no CUDA device here, or torch was built without CUDA.")
        if number and int(number) >= torch.cuda.device_count():
            raise DetectionError(
                f"There are {torch.cuda.device_count()} CUDA devices, no {device}."
            )


class _TorchSettings:
    """Torch's settings of the whole process, held for the time that engines compute.

    One thread and exact float32, so that features depend neither on what else set torch up nor
    on the number of images computed at once. The first one in notes what was set before, and
    each one out sets it again: the number of threads is kept per calling thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._threads = 1
        self._flags: Any = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold them for one image."""
        import torch

        with self._lock:
            if self._inside == 0:
                self._threads = torch.get_num_threads()
                # On a GPU, TF32 and algorithms chosen by timing would move features.
                self._flags = torch.backends.cudnn.flags(
                    enabled=True, deterministic=True, allow_tf32=False
                )
                self._flags.__enter__()
            self._inside += 1
            torch.set_num_threads(1)
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                torch.set_num_threads(self._threads)
                if self._inside == 0:
                    self._flags.__exit__(None, None, None)


_TORCH_SETTINGS = _TorchSettings()


class OpenVinoEngine:
    """The fast engine on CPUs, 3 to 5 times faster than eager torch.

    A size of image that comes often gets a form of its own, compiled for that size; it is used
    only where it gives the same features to the bit.
    """

    name = "openvino"

    def __init__(
        self,
        graph: CompiledGraph,
        *,
        threads: int = 1,
        precision: str = "f32",
        cache: Path | None = None,
    ) -> None:
        """
        Args:
            graph: From ``graph_of`` or ``to_graph``.
            threads: Images that may be computed at once; each by one thread.
            precision: ``f32`` or ``bf16``.
            cache: Folder that keeps compiled graphs between processes; None for none.

        Raises:
            DetectionError: The graph is of another layout, or the processor lacks the precision.
        """
        import openvino

        self.graph = graph
        self.precision = precision
        self._cache = cache
        self._core = openvino.Core()
        if precision == "bf16" and "BF16" not in self._abilities():
            # Emulating it would be slower than f32 and round otherwise than the fit did.
            raise DetectionError(
                "This model computes in bf16, which this processor does not have; fit it again "
                "with precision f32, or score on another processor."
            )
        self._properties: dict[str, Any] = {
            # Left to itself it takes bfloat16 where the chip has it; scores would then move
            # from machine to machine.
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            # Pinned, the engines of two processes would share the first core.
            "ENABLE_CPU_PINNING": False,
        }
        self._own = threading.local()
        self._lock = threading.Lock()
        self._seen: dict[tuple[int, int], int] = {}
        self._fixed: dict[tuple[int, int], Any] = {}
        self._any_size, facts = self._compiled_for_any_size()
        self.multiple = int(facts["multiple"])
        self.widths = _widths(facts["widths"])

    def __call__(self, image: UInt8Array) -> list[Float32Array]:
        pixels = np.ascontiguousarray(image)[None]
        size_hw = image.shape[:2]
        if size_hw in self._fixed:
            return _infer(self._request(size_hw), pixels)
        views = _infer(self._request(None), pixels)
        if self._is_due(size_hw):
            fixed, _ = self._compiled_anew(size_hw)
            same = zip(views, _infer(fixed.create_infer_request(), pixels), strict=True)
            if all(np.array_equal(ours, theirs) for ours, theirs in same):
                self._fixed[size_hw] = fixed
        return views

    def _is_due(self, size_hw: tuple[int, int]) -> bool:
        with self._lock:
            count = self._seen[size_hw] = self._seen.get(size_hw, 0) + 1
        return count == IMAGES_BEFORE_FIXED_SIZE and len(self._fixed) < MAX_FIXED_SIZES

    def _request(self, size_hw: tuple[int, int] | None) -> Any:
        """This thread's own request, for one size or for any."""
        requests: dict[Any, Any] | None = getattr(self._own, "requests", None)
        if requests is None:
            requests = self._own.requests = {}
        if size_hw not in requests:
            compiled = self._any_size if size_hw is None else self._fixed[size_hw]
            requests[size_hw] = compiled.create_infer_request()
        return requests[size_hw]

    def _compiled_for_any_size(self) -> tuple[Any, Any]:
        """The graph compiled for any size of image, from the cache where it is kept."""
        if self._cache is None:
            return self._compiled_anew(None)
        key = "compiled-" + digest_of(
            self.graph.xml, self.graph.weights, repr(self._properties), self._machine()
        )
        kept = read_entry(self._cache, key)
        if kept is not None:
            line, _, blob = kept.partition(b"\n")
            with suppress(RuntimeError):  # OpenVINO's own checks refused it
                return self._core.import_model(blob, "CPU", self._properties), json.loads(line)
        compiled, facts = self._compiled_anew(None)
        line = json.dumps(facts).encode()
        write_entry(self._cache, key, line + b"\n" + compiled.export_model().getvalue())
        return compiled, facts

    def _compiled_anew(self, size_hw: tuple[int, int] | None) -> tuple[Any, Any]:
        model = self._core.read_model(self.graph.xml, self.graph.weights)
        if not model.has_rt_info(LAYOUT_KEY) or model.get_rt_info(LAYOUT_KEY).value != LAYOUT:
            raise DetectionError("The network's graph is of another version; fit the model again.")
        if size_hw is not None:
            model.reshape([1, *size_hw, 3])
        compiled = self._core.compile_model(model, "CPU", self._properties)
        return compiled, json.loads(model.get_rt_info(FACTS_KEY).value)

    def _machine(self) -> str:
        import openvino

        chip = self._core.get_property("CPU", "FULL_DEVICE_NAME")
        return f"{openvino.get_version()} {chip} {self._abilities()}"

    def _abilities(self) -> list[str]:
        return [str(word) for word in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")]


def _widths(given: Any) -> Widths:
    return tuple(tuple(int(width) for width in view) for view in given)


def _infer(request: Any, pixels: UInt8Array) -> list[Float32Array]:
    result = request.infer([pixels], share_inputs=False)
    # Copied, because the request's own buffers are overwritten by the next image.
    return [np.array(view[0], dtype=np.float32) for view in result.to_tuple()]

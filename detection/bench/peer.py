"""Times anomalib's PatchCore. Run by path under an interpreter that has anomalib installed.

Imports nothing of our package. Prints one JSON object; its times are the peer's alone.
"""

import argparse
import importlib.util
import json
import statistics
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

# The network, layers and working size that ours are compared at: 784 vectors of 152 channels.
BACKBONE = "tf_efficientnet_lite0"
LAYERS = ("blocks.2", "blocks.4")


def main() -> None:
    """Measure what the options name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=Path, required=True, help="(rows, channels) .npy")
    parser.add_argument("--picks", type=int, required=True, help="timed")
    parser.add_argument("--all-picks", type=int, required=True, help="extrapolated to")
    parser.add_argument("--bank", type=int, required=True, help="vectors in the memory bank")
    parser.add_argument("--side", type=int, required=True, help="pixels")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("images", type=Path, nargs="+")
    options = parser.parse_args()
    if importlib.util.find_spec("anomalib") is None:
        _print({"skipped": "anomalib is not installed"})
        return
    import torch

    torch.set_num_threads(options.threads)
    _let_torchvision_load()
    warnings.simplefilter("ignore")  # the peer's own deprecations
    import numpy as np

    vectors = torch.from_numpy(np.load(options.vectors))
    _print(
        {
            "anomalib": metadata.version("anomalib"),
            "torch": metadata.version("torch"),
            "threads": options.threads,
            "coreset": _coreset(vectors, options.picks, options.all_picks),
            "score": _score(vectors[: options.bank], options),
        }
    )


def _coreset(vectors: Any, picks: int, all_picks: int) -> dict[str, Any]:
    from anomalib.models.components import KCenterGreedy  # type: ignore[import-not-found]

    def seconds(count: int) -> float:
        # Half a pick more, so that its rounding down gives the count.
        sampler = KCenterGreedy(embedding=vectors, sampling_ratio=(count + 0.5) / len(vectors))
        begin = time.perf_counter()
        chosen = sampler.select_coreset_idxs()
        if len(chosen) != count:
            raise SystemExit(f"anomalib picked {len(chosen)} vectors, not {count}")
        return time.perf_counter() - begin

    seconds(2)
    # What comes before the first pick, its random projection, is taken off again.
    start = seconds(2)
    per_pick = (seconds(picks + 2) - start) / picks
    return {
        "rows": len(vectors),
        "picks_timed": picks,
        "ms_per_pick": 1000 * per_pick,
        "all_picks": all_picks,
        "extrapolated_seconds": start + per_pick * all_picks,
    }


def _score(bank: Any, options: argparse.Namespace) -> dict[str, Any]:
    import torch
    from anomalib.data.utils import read_image  # type: ignore[import-not-found]
    from anomalib.models.image.patchcore import (  # type: ignore[import-not-found]
        torch_model,
    )
    from torchvision.transforms.v2 import Compose, Normalize, Resize

    # Weights do not move times; without a hub there would be none.
    model = torch_model.PatchcoreModel(backbone=BACKBONE, layers=LAYERS, pre_trained=False).eval()
    prepare = Compose(
        [
            Resize((options.side, options.side), antialias=True),
            Normalize(mean=[0.5] * 3, std=[0.5] * 3),
        ]
    )
    model.memory_bank = bank.contiguous()

    def score(path: Path) -> None:
        with torch.inference_mode():
            model(prepare(read_image(path, as_tensor=True))[None])

    told: dict[str, Any] = {"side_px": options.side, "bank_rows": len(bank)}
    for suffix, name in ((".jpg", "jpeg_ms"), (".png", "png_ms")):
        paths = [path for path in options.images if path.suffix == suffix]
        times = []
        for number in range(options.rounds + len(paths)):
            begin = time.perf_counter()
            score(paths[number % len(paths)])
            times.append(time.perf_counter() - begin)
        told[name] = 1000 * statistics.median(times[len(paths) :])
    return told


def _let_torchvision_load() -> None:
    """A CUDA torchvision beside a CPU torch stops at two operators it means to describe."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT_LIBRARIES.append(library)


# torch drops the definitions when the Library object dies.
_KEPT_LIBRARIES: list[Any] = []


def _print(report: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main()

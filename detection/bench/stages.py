"""Where the time of one call goes, stage by stage, whatever the core's functions are called."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

_CORE: Final = f"{Path(__file__).parents[1]}/"
# First match counts: part of a path below detection/, function or "" for any -> stage.
_STAGES: Final = (
    ("features.py", "resize", "resize"),
    ("patchcore.py", "to_image_size", "map"),
    ("decoding.py", "", "decode"),
    ("files.py", "", "decode"),
    ("png", "", "decode"),
    ("backbones/", "", "engine"),
    ("search/", "", "search"),
    ("whitening.py", "", "whitening"),
    ("regions.py", "", "regions"),
)
OTHER: Final = "other"


def stage_times_s(function: Callable[[], object]) -> dict[str, float]:
    """Seconds of one call by stage, ``other`` being the rest of the core.

    Time belongs to the innermost function of the core that is at work, with all the library calls
    it makes; compiled loops count for whoever calls them. The calling thread only. Watching costs
    some time itself, in ``other`` most of all.
    """
    spent: defaultdict[str, float] = defaultdict(float)
    stack = [OTHER]
    since = time.perf_counter()

    def watch(frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal since
        if event not in ("call", "return") or not frame.f_code.co_filename.startswith(_CORE):
            return
        now = time.perf_counter()
        spent[stack[-1]] += now - since
        if event == "call":
            stack.append(stage_of(frame.f_code.co_filename[len(_CORE) :], frame.f_code.co_name))
        elif len(stack) > 1:
            stack.pop()
        since = time.perf_counter()

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        function()
    finally:
        sys.setprofile(before)
    spent[stack[-1]] += time.perf_counter() - since
    return dict(spent)


def stage_of(path: str, function: str) -> str:
    """The stage of a function, by its file below ``detection/`` and its name."""
    for start, name, stage in _STAGES:
        if path.startswith(start) and name in ("", function):
            return stage
    return OTHER

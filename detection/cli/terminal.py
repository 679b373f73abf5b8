"""What every command shares with the terminal: common options, progress, JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TypeAlias

from detection.protocol import DetectionError

_PROGRESS_EVERY_S = 0.5

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class UsageError(DetectionError):
    """Options that do not go together; what argparse itself cannot see."""


def add_common(parser: argparse.ArgumentParser) -> None:
    """Give a command the options that all of them have."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--threads",
        type=positive,
        default=_cores(),
        help="images worked on at once (default: the cores there are); results do not depend on it",
    )
    parser.add_argument("--bit-depth", type=int, help="bits in use in 16-bit grey files")


def cache_folder() -> Path:
    """Where this user keeps what only saves time: converted and compiled networks."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    # The standard says to ignore paths that are not absolute.
    root = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return root / "secondlook"


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def positive(text: str) -> int:
    """A whole number from 1 up, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


class Progress:
    """Says on a terminal's standard error how far a long step is; elsewhere nothing."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if not sys.stderr.isatty() or (done < total and now - self._last < _PROGRESS_EVERY_S):
            return
        self._last = now
        print(f"\r\033[K{note}: {done} of {total}", end="", file=sys.stderr, flush=True)
        if done == total:
            print(file=sys.stderr)


def print_json(data: dict[str, Any]) -> None:
    """Print one JSON object; NaN is a mistake of ours."""
    print(json.dumps(data, indent=1, allow_nan=False))

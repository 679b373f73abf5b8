"""Commands in processes of their own, so that time, memory and imports are what a user meets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detection.protocol import DetectionError

_PACKAGE_ROOT = Path(__file__).parents[2]
_LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, slots=True)
class Child:
    """What a command that ended well took.

    Attributes:
        seconds: From start to exit.
        peak_mb: Largest resident memory, millions of bytes.
        output: The JSON object it printed last; empty where it printed none.
    """

    seconds: float
    peak_mb: float
    output: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where the bench's processes run.

    Attributes:
        folder: For images, models and caches; the caller's to remove.
        environment: Variables of the caller, handed on.
    """

    folder: Path
    environment: Mapping[str, str]

    @property
    def cache(self) -> Path:
        """What saves time between processes; shared by all that do not ask for their own."""
        return self.folder / "cache"

    def run(self, command: Sequence[str], *, cache: Path | None = None) -> Child:
        """Run a command to its end.

        Args:
            command: A program and its arguments.
            cache: Folder for caches in place of the shared one, loops compiled by numba included.

        Raises:
            DetectionError: It ended with another status than 0; its last words are told.
        """
        environment = {
            **self.environment,
            "XDG_CACHE_HOME": str(cache or self.cache),
            "PYTHONPATH": os.pathsep.join(
                filter(None, (str(_PACKAGE_ROOT), self.environment.get("PYTHONPATH", "")))
            ),
        }
        if cache is not None:
            environment["NUMBA_CACHE_DIR"] = str(cache / "numba")
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            report = Path(scratch) / "report.json"
            ended = subprocess.run(  # noqa: S603  our own modules
                [sys.executable, str(_LAUNCHER), str(report), *command],
                env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if ended.returncode != 0 or not report.is_file():
                raise DetectionError(f"The bench could not run {command[0]}: {ended.stderr[-500:]}")
            told = json.loads(report.read_text(encoding="utf-8"))
        if told["status"] != 0:
            words = " ".join((ended.stderr or ended.stdout)[-800:].split())
            raise DetectionError(f"{' '.join(command[:4])} ended with {told['status']}: {words}")
        return Child(told["seconds"], told["peak_mb"], _last_object(ended.stdout))

    def run_ours(self, *arguments: str, cache: Path | None = None) -> Child:
        """Run ``python -m`` with these arguments by our own interpreter."""
        return self.run([sys.executable, "-m", *arguments], cache=cache)


def _last_object(text: str) -> Mapping[str, Any]:
    start = text.rfind("\n{") + 1 if not text.startswith("{") else 0
    try:
        found = json.loads(text[start:])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

"""The commands of ``python -m detection``; each parses, calls the core, and prints.

A user's mistake ends in one line on standard error and exit status 2, never in a traceback.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from detection.cli import check, compare, evaluate, fit, score, thresholds
from detection.protocol import DetectionError

EXIT_MISTAKE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 2 for a mistake, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except (DetectionError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_MISTAKE
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m detection", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for command in (fit, score, evaluate, compare, thresholds, check):
        command.add_to(commands)
    return parser

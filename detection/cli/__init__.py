"""The commands of ``python -m detection``; each parses, calls the core, and prints.

What is wrong ends in one line on standard error, never in a traceback, and in the exit status: 1
for data that cannot be used, 2 for a wrong command line. With ``--json`` that line stands in
``{"error": ...}`` on standard output, too, so that a script need not read both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from detection.cli import bench, check, compare, evaluate, fit, score, thresholds
from detection.cli.terminal import UsageError, print_json
from detection.protocol import DetectionError

EXIT_DATA = 1
EXIT_USAGE = 2  # what argparse ends with
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1, 2, or 130 when interrupted."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except (DetectionError, OSError) as error:
        line = " ".join(str(error).split())
        print(f"error: {line}", file=sys.stderr)
        if getattr(options, "json", False):
            print_json({"error": line})
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_DATA
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m detection", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for command in (fit, score, evaluate, compare, thresholds, check, bench):
        command.add_to(commands)
    return parser

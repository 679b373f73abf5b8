"""Runs one command and writes its seconds, peak memory and exit status to a file. Run by path.

A process inherits the peak of whoever starts it, and the bench holds large arrays: started from
this small one, the command's peak is its own. Needs the standard library only; not for Windows.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

# Linux counts in KiB, macOS in bytes.
MAXRSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    """Run ``argv[2:]``, write the report to ``argv[1]``."""
    begin = time.perf_counter()
    process = subprocess.Popen(sys.argv[2:])  # noqa: S603  the bench's own command
    _, status, usage = os.wait4(process.pid, 0)
    report = {
        "seconds": time.perf_counter() - begin,
        "peak_mb": usage.ru_maxrss * MAXRSS_UNIT_BYTES / 1e6,
        "status": os.waitstatus_to_exitcode(status),
    }
    Path(sys.argv[1]).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main()

"""``python -m detection``: fit, score and evaluate without the web application."""

import sys

from detection.cli import main

if __name__ == "__main__":
    sys.exit(main())

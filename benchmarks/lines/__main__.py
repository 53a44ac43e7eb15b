"""
The command: see cli.py. The package, and what the tests have of emulated lines and clients, come into the path first.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:1] = [str(ROOT / each) for each in ("benchmarks", "tests", "tests/browser")]

from lines.cli import main  # noqa: E402

sys.exit(main())

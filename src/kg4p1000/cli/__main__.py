"""Run as ``python -m kg4p1000.cli``."""

from . import run

run()

"""Run as ``python -m kg4p1000.cli``."""

from . import main

main()

"""Measurements of the service beside others, on one machine, in one run: `python -m bench`."""

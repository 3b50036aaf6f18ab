"""The verbs; the only place that loads settings and joins the parts.

Data go to standard output, messages to standard error. Exit codes: 0 good, 1 findings, 2 usage.
"""

from . import asking, deciding, exchange, knowledge, service
from .base import main, run

__all__ = ["asking", "deciding", "exchange", "knowledge", "main", "run", "service"]

"""The open knowledge graph of the "4 per 1000" Implementation Plan, and the service that keeps it."""

__version__ = "0.1.0"

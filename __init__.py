"""tsched: one local service that runs commands now, later, and truthfully. The public face; imports nothing heavy."""

__version__ = "0.1.0"

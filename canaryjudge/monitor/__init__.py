"""Monitor: the same verdict from a stream, at every look, in bounded memory, saved and resumed between two looks."""

from canaryjudge.monitor.monitor import Monitor

__all__ = ["Monitor"]

"""Monitor: the same verdict from a stream, at every look, in bounded memory, saved and resumed between two looks; and many of them, advanced together."""

from canaryjudge.monitor.monitor import Monitor
from canaryjudge.monitor.monitors import Monitors

__all__ = ["Monitor", "Monitors"]

"""Prometheus: a server asked for data, and its answers read."""

"""Readiness: what keeps a service's metrics from being judged well, and what to do about it."""

from canaryjudge.readiness.doctor import Readiness, doctor

__all__ = ["Readiness", "doctor"]

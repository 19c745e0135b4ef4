"""Readiness: what keeps a service's metrics from being judged well, and what to do about it."""

from canaryjudge.doctor_checks.doctor import Readiness, doctor

__all__ = ["Readiness", "doctor"]

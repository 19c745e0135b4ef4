"""Calibration: how the policy would have judged this service while nothing was wrong, and what policy would keep its promise here."""

from canaryjudge.calibration.calibrate import Calibration, calibrate

__all__ = ["Calibration", "calibrate"]

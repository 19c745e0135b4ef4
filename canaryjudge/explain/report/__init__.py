"""The report: one self-contained HTML page. Facts are laid out here, none is computed."""

from canaryjudge.explain.report.page import as_report

__all__ = ["as_report"]

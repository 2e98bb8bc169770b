"""Reports of runs: folds over the events of a run folder, written as JSON, text, HDR histogram log and HTML page."""

from launcher.report.files import read_summary, write_report

__all__ = ["read_summary", "write_report"]

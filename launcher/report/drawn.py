"""The page of a run with its pictures."""

from __future__ import annotations

from collections.abc import Iterator

from cicada.limits import REPORT
from launcher.report.marks import marks
from launcher.report.model import Summary
from launcher.report.page import page
from launcher.report.pictures import check_drawing, over_time, percentiles, timeline


def drawn_page(summary: Summary) -> Iterator[str]:
    """Raises Unavailable when there is nothing to draw with. Of many loads the last ones are drawn."""
    check_drawing()
    found = marks(summary)
    pictures = {
        load.load: (
            over_time(load, found, f"load{load.load}"),
            percentiles(load, f"percentiles{load.load}"),
        )
        for load in summary.loads[-REPORT.drawn_loads :]
        if load.series
    }
    whole = timeline(found, summary.seconds, "run") if found else ""
    return page(summary, pictures, whole, found)

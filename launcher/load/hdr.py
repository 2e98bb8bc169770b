"""Histograms as others read them: the V2 encoding of HDR histograms, by the package hdrhistogram of the extra ``load``."""

from __future__ import annotations

from cicada.errors import Unavailable
from cicada.limits import LOAD
from launcher.load.histogram import Counts, lowest_in


def require_histograms() -> None:
    """Raises Unavailable, with what to install, when histograms cannot be encoded."""
    try:
        import hdrh.histogram  # noqa: F401  # whether it is there is all that is asked
    except ImportError:
        raise Unavailable("loads need hdrhistogram: pip install 'cicada-swarm[load]'") from None


def encode(counts: Counts) -> str:
    """A histogram in microseconds as base64 text; empty when it holds nothing."""
    if not counts:
        return ""
    from hdrh.histogram import HdrHistogram

    histogram = HdrHistogram(1, LOAD.histogram_max, LOAD.histogram_digits)
    for slot, times in counts.items():
        histogram.record_value(lowest_in(slot), times)
    encoded: bytes = histogram.encode()
    return encoded.decode()

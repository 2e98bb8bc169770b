"""Quantities as people write them, in configurations and on command lines. Pure. Each parser raises Misuse with what to write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import inf
from typing import Final

from cicada.errors import Misuse

_NUMBER: Final = r"(?P<number>\d+(?:\.\d+)?)"
DURATION: Final = re.compile(_NUMBER + r"\s*(?P<unit>us|ms|s|m|h|)")
SIZE: Final = re.compile(_NUMBER + r"\s*(?P<unit>B|KiB|MiB|kB|KB|MB|)")
RATE: Final = re.compile(_NUMBER + r"\s*(?:/\s*s)?")
_UNITS: Final = {"us": 1e-6, "ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_SIZES: Final = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024 * 1024, "kB": 1000, "KB": 1000, "MB": 1_000_000}
_SPAN: Final = ".."


def seconds_in(text: str) -> float:
    """``250ms``, ``60s``, ``2m``, ``1h`` or plain seconds."""
    match = DURATION.fullmatch(text.strip())
    if match is None:
        raise Misuse(f"{text!r} is not a time: write 60s, 2m or 250ms")
    return float(match["number"]) * _UNITS[match["unit"]]


def bytes_in(text: str) -> int:
    """``256``, ``256B``, ``4KiB`` or ``1MiB``."""
    match = SIZE.fullmatch(text.strip())
    size = float(match["number"]) * _SIZES[match["unit"]] if match is not None else inf
    if size == inf:
        raise Misuse(f"{text!r} is not a size: write 256B, 4KiB or 1MiB")
    return round(size)


def sizes_in(text: str) -> tuple[int, int]:
    """A size, or two with ``..`` between them: ``64..1KiB``."""
    first, span, last = text.partition(_SPAN)
    low = bytes_in(first)
    return low, bytes_in(last) if span else low


def rates_in(text: str) -> tuple[float, float]:
    """A rate a second, or two with ``..`` between them: ``100``, ``100/s``, ``100..500``."""
    first, span, last = text.partition(_SPAN)
    low = _rate_in(first)
    return low, _rate_in(last) if span else low


def weights_in(text: str) -> Mapping[str, float]:
    """``send=80,lookup=15,broadcast=5``."""
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = part.partition("=")
        try:
            weights[name.strip()] = float(number)
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise Misuse(f"{text!r} are no weights: write send=80,lookup=15,broadcast=5")
    return weights


def targets_in(text: str) -> tuple[str, float]:
    """``uniform``, ``zipf`` or ``zipf:1.2``: the law and its exponent."""
    law, colon, exponent = text.strip().partition(":")
    if law not in ("uniform", "zipf") or (colon and law == "uniform"):
        raise Misuse(f"{text!r} says not how targets are chosen: write uniform, zipf or zipf:1.2")
    try:
        return law, float(exponent) if colon else 1.0
    except ValueError:
        raise Misuse(f"{exponent!r} is not an exponent: write zipf:1.2") from None


def stage_in(text: str) -> dict[str, object]:
    """``RATE:DURATION`` or ``RATE..RATE:DURATION`` as the table ``[[load.stage]]`` has it."""
    rate, colon, duration = text.rpartition(":")
    if not colon or not rate:
        raise Misuse(f"{text!r} is not a stage: write 200:30s, or 100..500:1m for a ramp")
    return {"rate": rate, "duration": duration}


def _rate_in(text: str) -> float:
    match = RATE.fullmatch(text.strip())
    rate = float(match["number"]) if match is not None else inf
    if rate == inf:
        raise Misuse(f"{text!r} is not a rate: write 200, or 100..500 for a ramp")
    return rate


def real(number: float) -> float:
    """A number of any size as a float; an integer beyond all floats is infinite."""
    try:
        return float(number)
    except OverflowError:
        return inf if number > 0 else -inf

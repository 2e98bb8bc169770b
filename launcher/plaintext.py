"""Texts and numbers as people read them, the same in a status and in a report. Pure. Reasons come from strangers, so nothing in
them moves a cursor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from cicada.limits import REPORT

_ROUNDS_UP: Final = 0.9995  # of a unit: with three digits this is one, and 1e+03 of the unit below


def plain(text: str, most: int = REPORT.text) -> str:
    """One line of printable characters, at most ``most`` of them."""
    printable = "".join(character if character.isprintable() else " " for character in text[: most + 1])
    return printable if len(text) <= most else printable[: most - 1] + "…"


def plain_counts(counts: Mapping[str, int], most: int = REPORT.reasons) -> dict[str, int]:
    """Counts by plain reasons, the most frequent ones first; what is beyond ``most`` is one sum."""
    summed: dict[str, int] = {}
    for reason, count in counts.items():
        text = plain(reason)
        summed[text] = summed.get(text, 0) + count
    ordered = sorted(summed.items(), key=lambda entry: (-entry[1], entry[0]))
    rest = sum(count for _, count in ordered[most:])
    return dict(ordered[:most]) | ({"of other kinds": rest} if rest else {})


def seconds(value: float | None) -> str:
    """A short time: three digits and the unit that suits it."""
    if value is None:
        return "-"
    size = abs(value)
    if size >= 100:
        return duration(value)
    if size >= _ROUNDS_UP or size == 0:
        return f"{value:.3g} s"
    return f"{value * 1000:.3g} ms" if size >= _ROUNDS_UP / 1000 else f"{value * 1_000_000:.3g} us"


def duration(value: float) -> str:
    """A long time, in whole seconds from a minute on."""
    if abs(value) < 59.95:  # beyond it, a digit behind the point would say 60.0
        return f"{value:.1f} s"
    minutes, rest = divmod(round(abs(value)), 60)
    hours, minutes = divmod(minutes, 60)
    parts = (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if rest else "")
    return ("-" if value < 0 else "") + " ".join(part for part in parts if part)


def number(value: float) -> str:
    """A count with its thousands apart, or a rate with three digits."""
    if value == int(value) or abs(value) >= 1000 * _ROUNDS_UP:
        return f"{round(value):,}"
    return f"{value:.3g}"


def percent(share: float) -> str:
    """A share as a percentage that is never rounded up to all, nor down to nothing."""
    if 0.9999 <= share < 1:
        return "> 99.99%"
    if 0 < share < 0.0001:
        return "< 0.01%"
    return f"{share * 100:.4g}%"


def counted(count: int, noun: str) -> str:
    """``1 peer``, ``2 peers``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


class LastingFault(Protocol):
    """What a status and a report both know of a fault that lasts."""

    @property
    def fault(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def one(self) -> str: ...
    @property
    def other(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def jitter(self) -> float: ...
    @property
    def percent(self) -> float: ...


def fault_words(fault: LastingFault, *, peers: int, others: int) -> str:
    """Which fault it is, how much of it, and on how many peers: its first side, and the others if it has two."""
    sides = f"{fault.one} ({counted(peers, 'peer')})"
    if others:
        sides += f" and {fault.other or 'the rest'} ({counted(others, 'peer')})"
    return f"#{fault.fault} {fault.kind}{effect(fault)}  {sides}"


def effect(fault: LastingFault) -> str:
    """How much of it, after a blank: a share of the messages, or by how long they are late; empty for others."""
    if fault.percent:
        return f" {fault.percent:g}%"
    if not fault.seconds and not fault.jitter:
        return ""
    shortest, longest = fault.seconds * 1000, (fault.seconds + fault.jitter) * 1000
    return f" by {shortest:g} ms" if shortest == longest else f" by {shortest:g} to {longest:g} ms"

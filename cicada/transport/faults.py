"""Faults between peers, as values: which pairs of addresses are cut off, slowed down, or lose and repeat messages. Pure.

A table is set as a whole at every worker of a swarm. Each side judges only what it sends, so nothing is judged twice.
"""

from __future__ import annotations

import msgspec

from cicada.ids import Address


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to what one peer sends another. ``delay`` and ``jitter`` are seconds, ``drop`` and ``duplicate``
    probabilities.

    ``cut`` and the delay strike frames, below the links, which therefore time out and measure what a network would make
    them. ``drop`` and ``duplicate`` strike messages before they are sealed: a link rides TCP, which loses and repeats
    nothing, and a frame lost above it would break the link's counter and cost the link, not the message.
    """

    cut: bool = False
    delay: float = 0.0
    jitter: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0

    @property
    def strikes_frames(self) -> bool:
        """Frames do not simply pass."""
        return self.cut or self.delay > 0.0 or self.jitter > 0.0


class FaultRule(Verdict, frozen=True, kw_only=True):
    """The verdict on everything between an address of ``one`` and an address of ``other``, both ways."""

    one: frozenset[Address]
    other: frozenset[Address]

    def concerns(self, local: Address, remote: Address) -> bool:
        """Whether the pair is one of the rule's."""
        return (local in self.one and remote in self.other) or (local in self.other and remote in self.one)


class FaultTable(msgspec.Struct, frozen=True):
    """All rules that are in force. Several on one pair add up."""

    rules: tuple[FaultRule, ...] = ()

    def about(self, local: Address) -> FaultTable:
        """The rules that concern an address at all; most often none."""
        return FaultTable(tuple(rule for rule in self.rules if local in rule.one or local in rule.other))

    def verdict(self, local: Address, remote: Address) -> Verdict:
        """What happens to what ``local`` sends ``remote``."""
        found = [rule for rule in self.rules if rule.concerns(local, remote)]
        if not found:
            return NOTHING
        return Verdict(
            cut=any(rule.cut for rule in found),
            delay=sum(rule.delay for rule in found),
            jitter=sum(rule.jitter for rule in found),
            drop=_any_of([rule.drop for rule in found]),
            duplicate=_any_of([rule.duplicate for rule in found]),
        )


def _any_of(chances: list[float]) -> float:
    """The probability that at least one of independent things happens."""
    none = 1.0
    for chance in chances:
        none *= 1.0 - chance
    return 1.0 - none


NOTHING = Verdict()
NO_FAULTS = FaultTable()

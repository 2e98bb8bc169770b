"""Colours and shapes: each state has both of its own, and everything stands out from its ground."""

from __future__ import annotations

from itertools import combinations

import pytest

from visualizer.model.state import Kind, PeerState
from visualizer.scene.palette import DARK, LIGHT, SHAPES, Colour, Palette, Tone, contrast, mixed, palette
from visualizer.view import Theme

THEMES = pytest.mark.parametrize("theme", [DARK, LIGHT], ids=["dark", "light"])


def green_blind(colour: Colour) -> tuple[float, float, float]:
    """About what an eye without green cones tells apart: brightness, and yellow from blue."""
    red, green, blue = colour
    return (0.6 * red + 0.4 * green, 0.7 * red + 0.3 * green, blue)


def test_every_state_has_a_shape_of_its_own() -> None:
    assert set(SHAPES) == set(PeerState)
    assert len(set(SHAPES.values())) == len(PeerState)


@THEMES
def test_every_state_and_kind_has_a_colour_of_its_own(theme: Palette) -> None:
    assert len(set(theme.states.values())) == len(PeerState)
    assert len(set(theme.kinds.values())) == len(Kind)
    assert len(set(theme.copies)) == 10
    assert not {theme.ring, theme.good, theme.bad} & set(theme.copies)


@THEMES
def test_who_is_dead_is_told_from_a_member_without_green(theme: Palette) -> None:
    pairs = combinations((PeerState.MEMBER, PeerState.DEAD, PeerState.SUSPECT, PeerState.FROZEN), 2)
    for one, other in pairs:
        seen = zip(green_blind(theme.states[one]), green_blind(theme.states[other]), strict=True)
        assert max(abs(first - second) for first, second in seen) > 30, (one, other)


@THEMES
def test_texts_are_readable_and_peers_visible(theme: Palette) -> None:
    for ground in (theme.ground, theme.panel):
        assert contrast(theme.text, ground) > 7
        for tone in Tone:
            assert contrast(theme.tone(tone), ground) >= 4.5, tone
        for colour in (*theme.states.values(), *theme.copies):
            assert contrast(colour, ground) >= 2.8, colour
    assert contrast(theme.hostile, theme.ground) >= 3


def test_contrast_is_between_one_and_twenty_one() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((9, 90, 200), (9, 90, 200)) == 1


def test_colours_mix_and_begin_anew() -> None:
    assert mixed((200, 100, 0), (0, 0, 100), 0.5) == (100, 50, 50)
    assert DARK.group(0) == DARK.group(len(DARK.groups))
    assert DARK.copy(3) != DARK.copy(4)
    assert palette(Theme.LIGHT) is LIGHT

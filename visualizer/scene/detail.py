"""How much is shown: what helps with twenty peers hides what matters with five hundred."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from visualizer.model.state import Kind, SwarmState
from visualizer.scene.areas import Area
from visualizer.scene.layout import turn_at
from visualizer.view import View

LABELLED: Final = 32  # peers up to which everybody's name is shown
ROOM_FOR_LABEL: Final = 30.0  # pixels of the circle a peer needs for a name of its own
DOTS: Final = 1_200  # messages drawn at once
LARGEST_PEER: Final = 9.0  # pixels
SMALLEST_PEER: Final = 2.6
FEW_EDGES: Final = 240  # up to which each is drawn as strongly as one alone
FAINTEST: Final = 0.2


class Label(NamedTuple):
    """A name to be written near a peer."""

    peer: str
    is_strong: bool


def peer_radius(peers: int, zoom: float, scale: float) -> float:
    """Pixels of a peer's radius: smaller in a crowd, larger from near."""
    crowd = LARGEST_PEER * min(1.0, math.pow(24 / max(1, peers), 0.36))
    return max(SMALLEST_PEER, min(LARGEST_PEER * 1.8, crowd * math.pow(zoom, 0.35))) * scale


def labels(state: SwarmState, view: View, pixels_per_radius: float) -> list[Label]:
    """Whom to name, the most important first: who is pointed at, chosen or found; then the others if there is room."""
    strong = [view.hovered, view.pinned, *sorted(view.selected), *sorted(view.found)]
    trip = state.trips.get(view.followed)
    if trip is not None:
        passed = [] if trip.kind is Kind.BROADCAST else [flight.end for flight in trip.flights]
        strong += [trip.origin, trip.target, *passed]
    first = [name for name in dict.fromkeys(strong) if name in state.peers]
    found = [Label(name, True) for name in first[: 2 * LABELLED]]
    room = 2 * math.pi * pixels_per_radius / max(1, len(state.peers))
    if len(state.peers) <= LABELLED or room >= ROOM_FOR_LABEL:
        taken = set(first)
        found += [Label(name, False) for name in state.peers if name not in taken]
    return found


def edge_share(edges: int) -> float:
    """How much of an edge's colour is seen: less the more there are, so that a crowd becomes a haze and not a wall."""
    return max(FAINTEST, min(0.6, 0.6 * math.sqrt(FEW_EDGES / max(1, edges))))


def heat(rate: float, peak: float) -> float:
    """0 (nothing) to 1 (``peak``) for a rate, in equal steps for equal factors."""
    return math.log1p(max(0.0, rate)) / math.log1p(max(peak, 1e-9)) if peak > 0 else 0.0


def shown_of(messages: int, budget: int = DOTS) -> int:
    """One of how many messages to draw so that at most ``budget`` are in the picture: a power of two, which changes seldom."""
    share = 1
    while messages > budget * share:
        share *= 2
    return share


def is_shown(trip: str, share: int) -> bool:
    """Whether a trip is among the ``share``-th that is drawn. All of its hops are, or none."""
    return share == 1 or _digest(trip) % share == 0


def sampling_notice(sampled: int, share: int) -> str:
    """What to tell when not every message is drawn: the two samplings multiply. Empty when all are."""
    of = max(1, sampled) * share
    return f"showing 1 of {of} messages" if of > 1 else ""


def _digest(text: str) -> int:
    """A number that is the same in every process, unlike ``hash``."""
    value = 0x811C9DC5
    for letter in text.encode():
        value = ((value ^ letter) * 0x01000193) & 0xFFFFFFFF
    return value >> 7


class Placed(NamedTuple):
    """A label with its place: the left upper corner."""

    label: Label
    x: float
    y: float


PUSHES: Final = 4


def place_labels(
    wanted: Iterable[tuple[Label, tuple[float, float], tuple[float, float], tuple[int, int]]],
    within: Area,
    gap: float,
) -> list[Placed]:
    """Labels that overlap none before them. Each comes with its peer's point in ring units and in pixels, and its size.

    It stands outside of the ring beside its peer, further out when that is taken; it is left out when there is no room.
    """
    placed: list[Placed] = []
    boxes: list[tuple[float, float, float, float]] = []
    for label, point, pixel, (width, height) in wanted:
        for push in range(PUSHES if label.is_strong else 2):
            x, y = _beside(point, pixel, width, height, gap + push * (height + 2))
            box = x - 2, y - 1, x + width + 2, y + height + 1
            if not _inside(box, within) or any(_overlap(box, other) for other in boxes):
                continue
            placed.append(Placed(label, x, y))
            boxes.append(box)
            break
    return placed


def _beside(
    point: tuple[float, float], pixel: tuple[float, float], width: float, height: float, away: float
) -> tuple[float, float]:
    angle = turn_at(point) * 2 * math.pi
    out_x, out_y = math.sin(angle), -math.cos(angle)
    x = pixel[0] + out_x * away + (out_x - 1) * width / 2
    return x, pixel[1] + out_y * away + (out_y - 1) * height / 2


def _inside(box: tuple[float, float, float, float], area: Area) -> bool:
    return box[0] >= area.x and box[1] >= area.y and box[2] <= area.x + area.w and box[3] <= area.y + area.h


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]

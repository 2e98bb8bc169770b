"""Where peers are: on the circle at their place, or evenly spaced; those that nobody can dial outside of it."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from cicada.ids import RING_SIZE
from visualizer.model.state import PeerView, SwarmState
from visualizer.scene.areas import Size, areas
from visualizer.scene.camera import Point, to_window
from visualizer.view import Camera, View

OUTER: Final = 1.115  # where hidden peers are, in ring radii
BAND: Final = (
    0.035,
    0.06,
)  # how far outside of the ring the arcs are that show who is responsible, in ring radii
BAND_PIXELS: Final = (14.0, 24.0)  # and at most, from near
TURN: Final = 2 * math.pi
HIT: Final = 9.0  # pixels from a peer's middle that still mean it


class Arc(NamedTuple):
    """What a member is responsible for: clockwise from ``start`` to ``end`` (turns of the circle, end > start)."""

    peer: str
    group: str
    start: float
    end: float


class Tie(NamedTuple):
    """A hidden peer and one that it lodges with."""

    peer: str
    relay: str


def turn_of(place: int) -> float:
    """The share of the circle from its top, clockwise, to a place: in [0, 1)."""
    return min(place / RING_SIZE, 1.0 - 2**-53)


def band(pixels_per_radius: float, scale: float) -> tuple[float, float]:
    """The radii between which the arcs are that show who is responsible for what."""
    near, far = (
        1 + min(share, pixels * scale / pixels_per_radius)
        for share, pixels in zip(BAND, BAND_PIXELS, strict=True)
    )
    return near, far


def on_circle(turn: float, radius: float = 1.0) -> Point:
    """The point at a share of the circle."""
    return radius * math.sin(turn * TURN), -radius * math.cos(turn * TURN)


def turn_at(point: Point) -> float:
    """The share of the circle where a point is, in [0, 1): what ``on_circle`` takes."""
    return math.atan2(point[0], -point[1]) / TURN % 1.0


def in_ring(state: SwarmState) -> list[PeerView]:
    """The live members of the ring by place: the truth that links are compared with."""
    live = [peer for peer in state.peers.values() if peer.state.is_live and not peer.hidden]
    return sorted(live, key=lambda peer: peer.place)


class Layout:
    """Places of peers. It remembers what it computed, so that asking at every frame costs little."""

    def __init__(self) -> None:
        self._turns: dict[str, tuple[int, float, Point]] = {}

    def positions(self, state: SwarmState, view: View) -> dict[str, Point]:
        """Every peer's point in ring units, dead ones too: nobody moves because another ended."""
        turns = self.turns(state, view)
        if view.even_spacing:
            return {
                name: on_circle(turn, OUTER if state.peers[name].hidden else 1.0)
                for name, turn in turns.items()
            }
        return {name: self._turns[name][2] for name in turns}

    def turns(self, state: SwarmState, view: View) -> dict[str, float]:
        """Every peer's share of the circle."""
        if view.even_spacing:
            ordered = sorted(state.peers.values(), key=lambda peer: (peer.place, peer.name))
            return {peer.name: index / len(ordered) for index, peer in enumerate(ordered)}
        if len(self._turns) > 2 * len(state.peers) + 64:
            self._turns.clear()
        return {name: self._turn(name, peer) for name, peer in state.peers.items()}

    def _turn(self, name: str, peer: PeerView) -> float:
        known = self._turns.get(name)
        if known is None or known[0] != peer.place:
            turn = turn_of(peer.place)
            known = peer.place, turn, on_circle(turn, OUTER if peer.hidden else 1.0)
            self._turns[name] = known
        return known[1]

    def arcs(self, state: SwarmState, view: View) -> list[Arc]:
        """What each live member is responsible for: the circle without gaps, or nothing of an empty ring."""
        turns, ring = self.turns(state, view), in_ring(state)
        found = []
        for before, peer in zip(ring[-1:] + ring[:-1], ring, strict=True):
            start, end = turns[before.name], turns[peer.name]
            found.append(Arc(peer.name, peer.group, start, end if end > start else end + 1.0))
        return found

    @staticmethod
    def to_window(point: Point, camera: Camera, size: Size) -> Point:
        """The pixel of a point in ring units."""
        return to_window(point, camera, size)

    def peer_at(self, pixel: tuple[int, int], state: SwarmState, view: View, size: Size) -> str:
        """The name of the peer nearest to a pixel of the field, when it is near enough; otherwise empty."""
        if not areas(size).field.holds(pixel):
            return ""
        best, nearest = "", (HIT * areas(size).scale) ** 2
        for name, (x, y) in self.pixels(state, view, size).items():
            distance = (x - pixel[0]) ** 2 + (y - pixel[1]) ** 2
            if distance < nearest:
                best, nearest = name, distance
        return best

    def in_rectangle(
        self, rectangle: tuple[int, int, int, int], state: SwarmState, view: View, size: Size
    ) -> set[str]:
        """The names of the peers whose middle is in a rectangle (two opposite corners)."""
        left, right = sorted((rectangle[0], rectangle[2]))
        top, bottom = sorted((rectangle[1], rectangle[3]))
        pixels = self.pixels(state, view, size)
        return {name for name, (x, y) in pixels.items() if left <= x <= right and top <= y <= bottom}

    def pixels(self, state: SwarmState, view: View, size: Size) -> dict[str, Point]:
        """Every peer's pixel."""
        origin = to_window((0.0, 0.0), view.camera, size)
        scale = to_window((1.0, 0.0), view.camera, size)[0] - origin[0]
        return {
            name: (origin[0] + x * scale, origin[1] + y * scale)
            for name, (x, y) in self.positions(state, view).items()
        }


def ties(state: SwarmState) -> list[Tie]:
    """Each hidden peer to the relays that it is reached by."""
    names = {peer.address: peer.name for peer in state.peers.values()}
    return [
        Tie(peer.name, names[address])
        for peer in state.peers.values()
        if peer.hidden
        for address in peer.relays
        if address in names
    ]


def group_numbers(state: SwarmState) -> dict[str, int]:
    """The groups in the order of their names, numbered from 0."""
    return {
        group: number for number, group in enumerate(sorted({peer.group for peer in state.peers.values()}))
    }

"""What stands in the ring's field, worked out a few times a second and blitted at every frame."""

from __future__ import annotations

import math
from operator import itemgetter
from typing import Final, TypedDict

import pygame

from visualizer.draw.fonts import Size, Type
from visualizer.draw.sprites import Look, Sprites
from visualizer.model.state import PeerState, SwarmState
from visualizer.scene.areas import Size as WindowSize
from visualizer.scene.areas import areas
from visualizer.scene.camera import Point, pixels_per_radius, to_window
from visualizer.scene.detail import labels, peer_radius, place_labels
from visualizer.scene.layout import Arc, Layout, Tie, band, group_numbers, ties
from visualizer.scene.palette import Palette
from visualizer.scene.paths import (
    Ending,
    Hop,
    Segment,
    Trace,
    along,
    focus,
    ring_segments,
    table_segments,
    trip_segments,
)
from visualizer.view import View

ROOM_FOR_TIME: Final = 1.8  # of its width: a hop's length from which its time is written on it
LABEL_GAP: Final = 6.0  # pixels between a peer and its name
EVERY_S: Final = 1 / 12  # between two looks at a state that changes

Blit = tuple[pygame.Surface, tuple[float, float]]


class Lines(TypedDict):
    """What of the ground comes from the state of the ring."""

    arcs: list[Arc]
    groups: dict[str, int]
    ring: list[Segment]
    ties: list[Tie]
    positions: dict[str, Point]


class Scenery:
    """Peers, names, and the lines that were asked for."""

    def __init__(
        self,
        layout: Layout,
        size: WindowSize,
        type_: Type,
        sprites: Sprites,
        palette: Palette,
        patient: bool,
    ) -> None:
        self._layout, self._size, self._areas = layout, size, areas(size)
        self._type, self._sprites, self._palette, self._patient = type_, sprites, palette, patient
        self._key: object = None
        self._at = -math.inf
        self._looks: dict[str, tuple[tuple[object, ...], int, pygame.Surface]] = {}
        self.positions: dict[str, Point] = {}
        self.pixels: dict[str, Point] = {}
        self.focus: frozenset[str] | None = None
        self.segments: list[Segment] = []
        self.peers: list[Blit] = []
        self.texts: list[Blit] = []
        self.origin: Point = (0.0, 0.0)
        self.radius = 1.0

    def take(self, state: SwarmState, view: View, now_s: float, pending: frozenset[Hop]) -> None:
        """Works it out anew when another thing was chosen, or when it is old and the state went on. Hops of the followed
        message that are ``pending`` have no line yet."""
        chosen = (
            *(view.camera.x, view.camera.y, view.camera.zoom, view.hovered, view.pinned, view.followed),
            *(view.even_spacing, view.shows_fingers, view.shows_known, view.only_group, pending),
            *(frozenset(view.selected), frozenset(view.found)),
        )
        if chosen == self._key and now_s - self._at < EVERY_S and not self._patient:
            return
        self._key, self._at = chosen, now_s
        self.positions = self._layout.positions(state, view)
        self.origin = to_window((0.0, 0.0), view.camera, self._size)
        self.radius = pixels_per_radius(view.camera, self._areas.field)
        x, y, radius = *self.origin, self.radius
        self.pixels = {name: (x + at[0] * radius, y + at[1] * radius) for name, at in self.positions.items()}
        self.focus = focus(state, view)
        trip = state.trips.get(view.followed)
        self.segments = table_segments(state, view, self.positions)
        self.segments += trip_segments(trip, self.positions, pending) if trip is not None else []
        self.peers = self._peers(state, view)
        self._write(state, view)

    def lines(self, state: SwarmState, view: View) -> Lines:
        """What of the ground comes from the state of the ring. ``positions`` are of this state: since the last look at it peers
        may have come, moved and gone."""
        positions = self._layout.positions(state, view)
        return Lines(
            arcs=self._layout.arcs(state, view),
            groups=group_numbers(state),
            ring=ring_segments(state, positions),
            ties=ties(state),
            positions=positions,
        )

    def _peers(self, state: SwarmState, view: View) -> list[Blit]:
        """Pictures of peers: those that ask for attention last, which is over the others."""
        scale, sprites = self._areas.scale, self._sprites
        radius = round(2 * peer_radius(len(state.peers), view.camera.zoom, scale)) / 2
        numbers = group_numbers(state)
        marked = view.selected | view.found | {view.hovered, view.pinned}
        found = []
        for name, peer in state.peers.items():
            dim = self.focus is not None and name not in self.focus
            number = numbers[peer.group] if len(numbers) > 1 else -1
            look = (
                *(peer.state, radius, number, dim, name in marked, bool(peer.behaviour)),
                *(peer.hidden, bool(peer.mapped)),
            )
            known = self._looks.get(name)
            if known is None or known[0] != look:
                known = self._looks[name] = look, _rank(Look(*look)), sprites.peer(Look(*look))
            _, rank, sprite = known
            pixel, half = self.pixels[name], sprite.get_width() / 2
            found.append((rank, (sprite, (pixel[0] - half, pixel[1] - half))))
        if len(self._looks) > 2 * len(found):
            self._looks.clear()
        found.sort(key=itemgetter(0))
        return [blit for _, blit in found]

    def _write(self, state: SwarmState, view: View) -> None:
        """Names beside peers, and times at the middle of hops."""
        field, type_, palette = self._areas.field, self._type, self._palette
        wanted = []
        for label in labels(state, view, self.radius):
            if self.focus is not None and not label.is_strong and label.peer not in self.focus:
                continue
            if not field.holds((int(self.pixels[label.peer][0]), int(self.pixels[label.peer][1]))):
                continue
            width = type_.width(label.peer, Size.BODY, label.is_strong), type_.height(Size.BODY)
            wanted.append((label, self.positions[label.peer], self.pixels[label.peer], width))
        gap = peer_radius(len(state.peers), view.camera.zoom, type_.scale) + LABEL_GAP * type_.scale
        gap = max(gap, (band(self.radius, type_.scale)[1] - 1) * self.radius + LABEL_GAP * type_.scale)
        self.texts, boxes = [], []
        for placed in place_labels(wanted, field, gap):
            colour = palette.text if placed.label.is_strong else palette.quiet
            text = type_.text(placed.label.peer, colour, Size.BODY, placed.label.is_strong)
            self.texts.append((text, (placed.x, placed.y)))
            boxes.append(text.get_rect(topleft=(round(placed.x), round(placed.y))))
        self._write_times(type_, palette, boxes)

    def _write_times(self, type_: Type, palette: Palette, boxes: list[pygame.Rect]) -> None:
        for segment in self.segments:
            if segment.trace is not Trace.HOP or not segment.label:
                continue
            is_bad = segment.ending in (Ending.ALTERED, Ending.LOST)
            colour = palette.bad if is_bad else palette.message(segment.kind, segment.copy)
            text = type_.text(segment.label, colour, Size.SMALL, True)
            if math.dist(segment.start, segment.end) * self.radius < text.get_width() * ROOM_FOR_TIME:
                continue
            for share in (0.5, 0.38, 0.62, 0.28, 0.72):
                x, y = along(segment.start, segment.end, segment.bend, share)
                box = text.get_rect(
                    center=(round(self.origin[0] + x * self.radius), round(self.origin[1] + y * self.radius))
                ).inflate(6, 2)
                if box.collidelist(boxes) < 0:
                    boxes.append(box)
                    plate = pygame.Surface(box.size)
                    plate.fill(palette.ground)
                    self.texts += [(plate, box.topleft), (text, (box.x + 3, box.y + 1))]
                    break


def _rank(look: Look) -> int:
    """Who is drawn over whom."""
    order = {PeerState.LEFT: 0, PeerState.DEAD: 1, PeerState.MEMBER: 2}
    return order.get(look.state, 3) + look.hostile + 10 * look.chosen

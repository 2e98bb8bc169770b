"""The lowest layer: arcs, traffic and the ring. It is drawn twice as large and scaled down, which makes thousands of lines smooth
for a tenth of what a smooth line costs; and a few milliseconds of it at each frame, so that no frame waits for it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from typing import Final, NamedTuple

import pygame

from visualizer.model.state import Edge, Health, Kind, PeerState, SwarmState
from visualizer.scene.areas import Area
from visualizer.scene.camera import Point
from visualizer.scene.detail import edge_share, heat
from visualizer.scene.layout import Arc, Tie, band, on_circle, turn_at
from visualizer.scene.palette import Colour, Palette, mixed
from visualizer.scene.paths import Segment, Trace, curve

FINE: Final = 2
LEVELS: Final = 8  # of heat
CHUNK: Final = 48  # lines between two looks at the clock
BUDGET_S: Final = 0.004  # of a frame of 16.7 ms, if the rest of it left so much
EVERY_S: Final = 0.35  # between two drawings of a state that changes
STRIPS: Final = 8  # in which the large picture is scaled down
WEIGHED_AT_ONCE: Final = 500  # edges
SPARSE: Final = 64  # members of a ring that is drawn with a broader pen
FORGOTTEN_MS: Final = 15_000  # after which a count of an edge says nothing of now


class Picture(NamedTuple):
    """What is to be drawn, taken from a state that goes on changing."""

    key: object  # what was chosen: another one means that the picture is of something else
    camera: tuple[float, float, float]
    area: Area
    origin: Point  # of the ring, in pixels of the field
    radius: float
    scale: float
    palette: Palette
    arcs: list[Arc]
    groups: dict[str, int]
    ring: list[Segment]
    ties: list[Tie]
    positions: dict[str, Point]
    edges: list[Edge]
    focus: frozenset[str] | None
    is_quiet: bool  # something else is looked at: all edges stand back
    hidden_kinds: frozenset[Kind]
    now_ms: int
    state: SwarmState  # that it was taken from: as long as it is kept, no other one can be taken for it
    health: Health  # that the state had then


class Ground:
    """The layer. While the camera moves, the last picture is moved and scaled until one for the camera is drawn."""

    def __init__(self) -> None:
        self._surface: pygame.Surface | None = None
        self._shown: Picture | None = None  # what the surface shows
        self._big: pygame.Surface | None = None
        self._next: pygame.Surface | None = None
        self._wanted: Picture | None = None  # what is being drawn, or was last
        self._job: Iterator[None] | None = None
        self._begun_at = -math.inf

    def wants(self, key: object, camera: tuple[float, float, float], state: SwarmState, now_s: float) -> bool:
        """Whether it would begin a new picture now: then make one and call ``show``."""
        if self._job is not None:
            return False
        last = self._wanted
        if last is None or camera != last.camera or key != last.key:
            return True
        went_on = state is not last.state or state.health is not last.health or state.now_ms != last.now_ms
        return went_on and now_s - self._begun_at >= EVERY_S

    def show(self, picture: Picture, now_s: float, patient: bool) -> None:
        """Begins to draw; the first picture, and every one if there is time (``patient``), is whole when this returns."""
        self._wanted, self._begun_at = picture, now_s
        size = picture.area.w, picture.area.h
        if self._surface is None or self._next is None or self._big is None:
            self._surface, self._next = pygame.Surface(size), pygame.Surface(size)
            self._big = pygame.Surface((size[0] * FINE, size[1] * FINE))
            patient = True
        self._job = self._draw(picture, self._big, self._next)
        if patient:
            for _ in self._job:
                pass
            self._job = None

    def advance(self, budget_s: float = BUDGET_S) -> None:
        """Draws on for about so long."""
        until = time.perf_counter() + budget_s
        while self._job is not None and time.perf_counter() < until:
            if next(self._job, self) is self:
                self._job = None

    def _draw(self, picture: Picture, big: pygame.Surface, small: pygame.Surface) -> Iterator[None]:
        yield from paint(big, picture, FINE)
        width, height = small.get_size()
        strip = max(1, height // STRIPS)
        for top in range(0, height, strip):
            rows = min(strip, height - top)
            part = big.subsurface((0, top * FINE, width * FINE, rows * FINE))
            pygame.transform.smoothscale(part, (width, rows), small.subsurface((0, top, width, rows)))
            yield
        self._next, self._surface, self._shown = self._surface, small, picture

    def blit(self, target: pygame.Surface, origin: Point, radius: float) -> None:
        """Lays it on the field of ``target``, with the ring where it is now: about ``origin``, in pixels of the field."""
        shown, surface = self._shown, self._surface
        if shown is None or surface is None:
            return
        corner = shown.area.x, shown.area.y
        if (origin, radius) == (shown.origin, shown.radius):
            target.blit(surface, corner)
            return
        pygame.draw.rect(target, shown.palette.ground, shown.area)
        ratio = radius / shown.radius
        seen = _seen(shown.area, shown.origin, origin, ratio)
        if seen.w < 1 or seen.h < 1:
            return
        part = pygame.transform.scale(
            surface.subsurface(seen), (round(seen.w * ratio), round(seen.h * ratio))
        )
        left = corner[0] + origin[0] + (seen.x - shown.origin[0]) * ratio
        top = corner[1] + origin[1] + (seen.y - shown.origin[1]) * ratio
        target.blit(part, (round(left), round(top)))


def _seen(area: Area, before: Point, now: Point, ratio: float) -> pygame.Rect:
    """The part of a picture that is in the field when its ring is moved and scaled."""
    left, top = before[0] - now[0] / ratio, before[1] - now[1] / ratio
    across, down = math.ceil(area.w / ratio) + 2, math.ceil(area.h / ratio) + 2
    return pygame.Rect(math.floor(left), math.floor(top), across, down).clip((0, 0, area.w, area.h))


def paint(surface: pygame.Surface, picture: Picture, fine: int) -> Iterator[None]:
    """Draws a picture ``fine`` times as large, and yields between parts of it."""
    surface.fill(picture.palette.ground)
    yield
    yield from _arcs(surface, picture, fine)
    yield from _edges(surface, picture, fine)
    yield from _ties(surface, picture, fine)
    yield from _ring(surface, picture, fine)


def _pixel(picture: Picture, point: Point, fine: int) -> Point:
    return (
        (picture.origin[0] + point[0] * picture.radius) * fine,
        (picture.origin[1] + point[1] * picture.radius) * fine,
    )


def _arcs(surface: pygame.Surface, picture: Picture, fine: int) -> Iterator[None]:
    """Who is responsible for what, in the colours of the groups; neighbours of one group in two strengths."""
    radii = band(picture.radius, picture.scale)
    for index, arc in enumerate(picture.arcs):
        share = 0.62 if index % 2 else 0.42
        if picture.focus is not None and arc.peer not in picture.focus:
            share *= 0.4
        colour = mixed(picture.palette.group(picture.groups.get(arc.group, 0)), picture.palette.ground, share)
        steps = _steps(arc.end - arc.start, picture.radius)
        outer, inner = (
            [
                _pixel(picture, on_circle(arc.start + (arc.end - arc.start) * step / steps, radius), fine)
                for step in range(steps + 1)
            ]
            for radius in radii
        )
        pygame.draw.polygon(surface, colour, outer + inner[::-1])
        if index % 16 == 15:
            yield
    yield


def _steps(turns: float, radius: float) -> int:
    """Pieces of an arc: each about 5 pixels long, at most 200."""
    return max(2, min(200, int(turns * math.tau * radius / 5)))


def _edges(surface: pygame.Surface, picture: Picture, fine: int) -> Iterator[None]:
    weighed = yield from _weighed(picture)
    if not weighed:
        return
    peak = max(10.0, weighed[-1][0])
    share = edge_share(len(weighed))
    inks = _inks(picture.palette, share)
    faint = _inks(picture.palette, share * 0.3)
    thin = 1 if len(weighed) > 400 else fine
    widths = [thin, thin, thin, fine, fine, fine, fine + fine // 2, fine * 2]
    origin_x, origin_y = picture.origin[0] * fine, picture.origin[1] * fine
    scale, positions, focus, line = picture.radius * fine, picture.positions, picture.focus, pygame.draw.line
    for index, (rate, start, end) in enumerate(weighed):
        level = min(LEVELS - 1, int(heat(rate, peak) * LEVELS))
        near = not picture.is_quiet and (focus is None or (start in focus and end in focus))
        one, other = positions[start], positions[end]
        line(
            surface,
            inks[level] if near else faint[level],
            (origin_x + one[0] * scale, origin_y + one[1] * scale),
            (origin_x + other[0] * scale, origin_y + other[1] * scale),
            widths[level],
        )
        if index % CHUNK == CHUNK - 1:
            yield
    yield


def _inks(palette: Palette, share: float) -> list[Colour]:
    """Colours from cold to hot: hotter ones are seen more."""
    return [
        mixed(
            mixed(palette.hot, palette.edge, (level / (LEVELS - 1)) ** 1.5),
            palette.ground,
            min(1.0, share * (0.55 + 1.3 * (level / (LEVELS - 1)) ** 1.4)),
        )
        for level in range(LEVELS)
    ]


def _weighed(picture: Picture) -> Generator[None, None, list[tuple[float, str, str]]]:
    """Messages a second between each two peers, whichever way they go, the busiest last."""
    sums: dict[tuple[str, str], float] = {}
    positions, hidden = picture.positions, {kind.value for kind in picture.hidden_kinds}
    oldest = picture.now_ms - FORGOTTEN_MS
    for index, edge in enumerate(picture.edges):
        if index % WEIGHED_AT_ONCE == 0:
            yield
        start, end = edge.start, edge.end
        if edge.at_ms < oldest or start not in positions or end not in positions:
            continue
        rates = edge.rates
        rate = sum(rates.values())
        if hidden:
            rate -= sum(rates[kind] for kind in hidden & rates.keys())
        if rate > 0:
            pair = (start, end) if start < end else (end, start)
            sums[pair] = sums.get(pair, 0.0) + rate
    yield
    weighed = [(rate, start, end) for (start, end), rate in sums.items()]
    weighed.sort()
    yield
    return weighed


def _ties(surface: pygame.Surface, picture: Picture, fine: int) -> Iterator[None]:
    colour = mixed(picture.palette.kinds[Kind.NAT], picture.palette.ground, 0.45)
    for tie in picture.ties:
        start = _pixel(picture, picture.positions[tie.peer], fine)
        pygame.draw.line(surface, colour, start, _pixel(picture, picture.positions[tie.relay], fine), fine)
    yield


def _ring(surface: pygame.Surface, picture: Picture, fine: int) -> Iterator[None]:
    palette, focus = picture.palette, picture.focus
    for index, segment in enumerate(sorted(picture.ring, key=lambda one: one.trace is not Trace.SUCCESSOR)):
        near = focus is None or segment.peer in focus
        if segment.trace is Trace.SUCCESSOR:
            colour = mixed(palette.ring, palette.ground, 0.9 if near else 0.3)
            width = (3 if len(picture.ring) < SPARSE else 2) * fine
        else:
            colour, width = mixed(palette.bad, palette.ground, 1.0 if near else 0.55), 4 * fine
        _stroke(surface, picture, segment, colour, width, fine)
        if index % 16 == 15:
            yield
    yield


def _stroke(
    surface: pygame.Surface, picture: Picture, segment: Segment, colour: Colour, width: int, fine: int
) -> None:
    if segment.trace in (Trace.SUCCESSOR, Trace.WRONG, Trace.GAP):
        start = turn_at(segment.start)
        turns = (turn_at(segment.end) - start) % 1.0
        steps = _steps(turns, picture.radius)
        points = [on_circle(start + turns * step / steps) for step in range(steps + 1)]
    else:
        points = curve(segment)
    pixels = [_pixel(picture, point, fine) for point in points]
    if segment.trace is Trace.GAP:
        for index in range(0, len(pixels) - 1, 2):
            pygame.draw.line(surface, colour, pixels[index], pixels[index + 1], fine)
        return
    pygame.draw.lines(surface, colour, False, pixels, width)
    if segment.trace is Trace.MISSING:
        pygame.draw.circle(surface, colour, pixels[-1], 1.6 * width)


def picture_edges(state: SwarmState, shows_traffic: bool) -> list[Edge]:
    """The edges to draw: those between peers that can speak."""
    if not shows_traffic:
        return []
    silent = {name for name, peer in state.peers.items() if peer.state in (PeerState.DEAD, PeerState.LEFT)}
    if not silent:
        return list(state.edges.values())
    return [edge for edge in state.edges.values() if edge.start not in silent and edge.end not in silent]

"""The whole picture at an instant: layers from the ground up, each of which is drawn anew only when it must be."""

from __future__ import annotations

import math
import time
from typing import Final

import pygame

from visualizer.draw.board import Board, Canvas
from visualizer.draw.fonts import Type, Typeface
from visualizer.draw.ground import BUDGET_S, Ground, Picture, picture_edges
from visualizer.draw.ink import Ink
from visualizer.draw.overlay import beside, draw_rectangle, hover_canvas, keys_canvas, pill
from visualizer.draw.panels import draw_left, draw_right, draw_status, left_column, right_column
from visualizer.draw.scenery import Scenery
from visualizer.draw.sprites import PREMULTIPLIED, Sprites
from visualizer.draw.timeline import draw_timeline, share_at, timeline, track
from visualizer.model.state import SwarmState
from visualizer.scene.areas import Areas, Size, areas
from visualizer.scene.detail import shown_of
from visualizer.scene.flight import KINDS, Choreography, dots, followed_dots
from visualizer.scene.layout import Layout
from visualizer.scene.palette import palette
from visualizer.scene.paths import Hop, has_copies, hop_of
from visualizer.scene.rows import hover_card, prompt_text, status_line
from visualizer.view import Theme, View

PANELS_EVERY_S: Final = 0.2  # numbers that change faster cannot be read
NOTHING: Final[frozenset[Hop]] = frozenset()
CROWD: Final = 300  # messages from which each is drawn smaller
CROWD_SCALE: Final = 0.8
FRAME_S: Final = 0.010  # of 16.7 ms: what is over goes to reading the events
LEAST_BUDGET_S: Final = 0.0008  # for the ground, so that it is done at some time
LONGEST_FRAME_S: Final = (
    0.25  # of messages' time that a frame takes at most: after a stall they go on, and do not jump
)


class Renderer:
    """Draws a swarm into a surface of ``size``. One thread.

    ``patient``: every frame is drawn finely and wholly, however long that takes: for screenshots and films. ``typeface``
    BUNDLED makes pictures that are the same on every machine. ``keys``: the rows of the key sheet.
    """

    def __init__(
        self,
        size: Size,
        theme: Theme = Theme.DARK,
        *,
        patient: bool = False,
        typeface: Typeface = Typeface.SYSTEM,
        keys: tuple[tuple[str, str], ...] = (),
    ) -> None:
        pygame.font.init()
        self._key_rows = keys
        self._patient, self._typeface = patient, typeface
        self._layout, self._flights, self._board = Layout(), Choreography(), Board()
        self._clock_s = self._drawn_at = 0.0
        self._panels_at: float = -math.inf
        self._panels_key: tuple[object, ...] = ()
        self._share = 1
        self._followed = NOTHING
        self._shown: dict[str, Canvas] = {}
        self._turn = 0
        self._keys: Canvas | None = None
        self._start(size, theme)

    def _start(self, size: Size, theme: Theme) -> None:
        """All that depends on the size and the theme, anew."""
        self._size, self._theme = size, theme
        self._areas: Areas = areas(size)
        self._palette = palette(theme)
        self._type = Type(self._areas.scale, self._typeface)
        self._sprites = Sprites(self._palette)
        self._ground, self._ink = Ground(), Ink()
        self._scenery = Scenery(self._layout, size, self._type, self._sprites, self._palette, self._patient)
        self._board.clear()
        self._shown.clear()

    @property
    def layout(self) -> Layout:
        """Where peers are in this picture, for whoever asks what was clicked."""
        return self._layout

    def resize(self, size: Size) -> None:
        """The window has another size."""
        if size != self._size:
            self._start(size, self._theme)

    def draw(self, surface: pygame.Surface, state: SwarmState, view: View, now_s: float) -> None:
        """Draws the state as it is chosen to be seen. ``now_s`` is the window's clock, which never goes back."""
        if surface.get_size() != self._size:
            self.resize(surface.get_size())
        if view.theme is not self._theme:
            self._start(self._size, view.theme)
        began = time.perf_counter()
        self._pass_time(state, view, now_s)
        trip = state.trips.get(view.followed)
        self._followed = frozenset(hop_of(flight) for flight in trip.flights) if trip is not None else NOTHING
        pending = self._flights.pending(self._followed, self._clock_s) if self._followed else NOTHING
        self._scenery.take(state, view, now_s, pending)
        self._field(surface, state, view, now_s)
        self._columns(surface, state, view, now_s)
        self._over(surface, state, view, now_s)
        left_s = FRAME_S - (time.perf_counter() - began)
        self._ground.advance(min(BUDGET_S, max(LEAST_BUDGET_S, left_s)))

    def _pass_time(self, state: SwarmState, view: View, now_s: float) -> None:
        """Messages fly on, unless the picture is paused."""
        passed = min(LONGEST_FRAME_S, max(0.0, now_s - self._drawn_at))
        self._drawn_at = now_s
        if not view.playback.paused:
            self._clock_s += passed
        play = view.playback
        shown_ms = state.now_ms if play.live or not play.at_ms else play.at_ms
        self._flights.take(state.flights, self._clock_s, shown_ms, play.speed)

    def _field(self, surface: pygame.Surface, state: SwarmState, view: View, now_s: float) -> None:
        area, scenery = self._areas.field, self._scenery
        surface.set_clip(pygame.Rect(area))
        self._lay_ground(state, view, now_s)
        self._ground.blit(surface, self._origin(), scenery.radius)
        ink = self._ink.surface(
            scenery.segments, self._origin(), scenery.radius, area, self._palette, self._areas.scale
        )
        if ink is not None:
            surface.blit(ink, (area.x, area.y), special_flags=PREMULTIPLIED)
        surface.fblits(self._dots(state, view), PREMULTIPLIED)
        surface.fblits(scenery.peers, PREMULTIPLIED)
        surface.fblits(scenery.texts)
        if view.rectangle is not None:
            draw_rectangle(surface, view.rectangle, self._palette)
        surface.set_clip(None)

    def _lay_ground(self, state: SwarmState, view: View, now_s: float) -> None:
        scenery, camera = self._scenery, (view.camera.x, view.camera.y, view.camera.zoom)
        hidden = frozenset(view.hidden_kinds)
        key = scenery.focus, view.followed, view.even_spacing, view.shows_traffic, hidden
        if not self._patient and not self._ground.wants(key, camera, state, now_s):
            return
        picture = Picture(
            key=key,
            camera=camera,
            area=self._areas.field,
            origin=self._origin(),
            radius=scenery.radius,
            scale=self._areas.scale,
            palette=self._palette,
            edges=picture_edges(state, view.shows_traffic),
            focus=scenery.focus,
            is_quiet=bool(view.followed),
            hidden_kinds=hidden,
            now_ms=state.now_ms,
            state=state,
            health=state.health,
            **scenery.lines(state, view),
        )
        self._ground.show(picture, now_s, self._patient)

    def _origin(self) -> tuple[float, float]:
        """The ring's middle in pixels of the field."""
        return self._scenery.origin[0] - self._areas.field.x, self._scenery.origin[1] - self._areas.field.y

    def _dots(self, state: SwarmState, view: View) -> list[tuple[pygame.Surface, tuple[float, float]]]:
        scenery = self._scenery
        legs = self._flights.under_way(self._clock_s, view.hidden_kinds)
        if not view.shows_traffic:
            legs = [leg for leg in legs if hop_of(leg.flight) in self._followed]
        self._share = shown_of(len(legs))
        scale = self._areas.scale * (CROWD_SCALE if len(legs) > CROWD else 1.0)
        sprites = [self._sprites.dot(kind, 0, scale) for kind in KINDS]
        half = sprites[0].get_width() / 2
        place = scenery.positions, (scenery.origin[0] - half, scenery.origin[1] - half), scenery.radius
        trip = state.trips.get(view.followed)
        if trip is None:
            return dots(legs, self._clock_s, *place, sprites, self._share)
        own = [leg for leg in legs if hop_of(leg.flight) in self._followed]
        others = [leg for leg in legs if hop_of(leg.flight) not in self._followed]
        blits = dots(others, self._clock_s, *place, sprites, self._share)
        in_copies = has_copies(trip)
        for flight, (x, y) in followed_dots(
            own, self._clock_s, scenery.positions, scenery.origin, scenery.radius
        ):
            copy = flight.copy if in_copies else -1
            sprite = self._sprites.dot(flight.kind, copy, self._areas.scale, True)
            blits.append((sprite, (x - sprite.get_width() / 2, y - sprite.get_width() / 2)))
        return blits

    def _columns(self, surface: pygame.Surface, state: SwarmState, view: View, now_s: float) -> None:
        for canvas in self._canvases(state, view, now_s):
            surface.blit(canvas.surface, (canvas.area.x, canvas.area.y))

    def _canvases(self, state: SwarmState, view: View, now_s: float) -> list[Canvas]:
        """The parts around the field. What they say is read a few times a second, each part at another frame, or when
        another thing was chosen."""
        key = (
            *(view.pinned, view.followed, view.results, view.log_tail, view.only_group, view.shows_log),
            *(view.shows_fingers, view.shows_known, frozenset(view.selected), frozenset(view.hidden_kinds)),
            *(view.playback.live, view.playback.paused, view.playback.speed),
        )
        makers = (self._left, self._right, self._status)
        self._shown["_timeline"] = self._timeline(state, view)
        every = key != self._panels_key or self._patient or len(self._shown) <= len(makers)
        if every or now_s - self._panels_at >= PANELS_EVERY_S / len(makers):
            self._panels_key, self._panels_at = key, now_s
            self._turn = (self._turn + 1) % len(makers)
            for index, make in enumerate(makers):
                if every or index == self._turn:
                    self._shown[make.__name__] = make(state, view)
        return list(self._shown.values())

    def _left(self, state: SwarmState, view: View) -> Canvas:
        column, area = left_column(state, view), self._areas.left
        return self._board.show(
            "left", column, lambda: draw_left(column, area, self._type, self._palette, self._sprites)
        )

    def _right(self, state: SwarmState, view: View) -> Canvas:
        column, area = right_column(state, view), self._areas.right
        return self._board.show("right", column, lambda: draw_right(column, area, self._type, self._palette))

    def _timeline(self, state: SwarmState, view: View) -> Canvas:
        area = self._areas.timeline
        line = timeline(state, view, track(area, self._areas.scale).w)
        return self._board.show(
            "timeline", line, lambda: draw_timeline(line, area, self._type, self._palette)
        )

    def _status(self, state: SwarmState, view: View) -> Canvas:
        parts, area = status_line(state, view, self._share), self._areas.status
        return self._board.show("status", parts, lambda: draw_status(parts, area, self._type, self._palette))

    def _over(self, surface: pygame.Surface, state: SwarmState, view: View, now_s: float) -> None:
        field, gap = self._areas.field, round(14 * self._areas.scale)
        panel = None if view.shows_keys else hover_card(state, view.hovered)
        if panel is not None and panel.title in self._scenery.pixels:
            card = self._board.show("hover", panel, lambda: hover_canvas(panel, self._type, self._palette))
            corner = beside(self._scenery.pixels[panel.title], card.surface.get_size(), field, gap)
            surface.blit(card.surface, corner)
        asked = prompt_text(view)
        if asked:
            self._pill(surface, "prompt", asked, self._palette.accent, field.y + gap)
        if view.notice is not None and now_s < view.notice.until:
            colour = self._palette.bad if view.notice.is_bad else self._palette.text
            foot = field.y + field.h - round(48 * self._areas.scale)
            self._pill(surface, "notice", view.notice.text, colour, foot)
        self._keys = None
        if view.shows_keys and self._key_rows:
            sheet = self._board.show(
                "keys", self._size, lambda: keys_canvas(self._key_rows, self._size, self._type, self._palette)
            )
            surface.blit(sheet.surface, (sheet.area.x, sheet.area.y))
            self._keys = sheet

    def _pill(
        self, surface: pygame.Surface, name: str, text: str, colour: tuple[int, int, int], y: int
    ) -> None:
        field = self._areas.field
        canvas = self._board.show(
            name, (text, colour), lambda: pill(text, colour, self._type, self._palette, field.w)
        )
        surface.blit(canvas.surface, (field.x + round(10 * self._areas.scale), y))

    def panel_hit(self, pixel: tuple[int, int]) -> str:
        """What of the panels is under a pixel of the last picture: a name such as play, kind:data, group:core, peer:core-3,
        log:17 (of the state's log), inspector, or scrubber:0.42 with the share of the whole time; empty over the ring."""
        if self._keys is not None and self._keys.area.holds(pixel):
            return "keys"
        for canvas in self._shown.values():
            if canvas.area.holds(pixel):
                names = [hit.name for hit in canvas.hits if hit.area.holds(pixel)]
                if not names:
                    return "panel"
                if names[-1] == "scrubber":
                    return f"scrubber:{share_at(pixel, self._size, self._areas.timeline):.4f}"
                return names[-1]
        return ""

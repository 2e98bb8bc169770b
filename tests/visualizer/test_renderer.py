"""The picture as a whole: it can be drawn of anything, it is drawn anew only when it must be, and clicks find its parts."""

from __future__ import annotations

import gc
from random import Random

import pygame
import pytest

from benchmarks.frames import measure
from visualizer.draw.fonts import Size, Type, Typeface, printable
from visualizer.draw.pace import calm_collector
from visualizer.draw.renderer import Renderer
from visualizer.draw.sprites import Look, Sprites
from visualizer.model.state import Flight, Kind, Line, PeerState, SwarmState
from visualizer.scene.areas import areas
from visualizer.scene.palette import DARK, palette
from visualizer.view import Camera, Notice, Playback, Prompt, Theme, View

from .pictures import difference, draw
from .scenes import (
    NOW_MS,
    SCENES,
    broadcast,
    calm,
    flights,
    healthy,
    kill,
    lookup,
    peer,
    swarm,
    traffic,
    view,
)

SIZE = (1280, 720)
KEYS = tuple((f"F{number}", f"what the key {number} does, which is a lot") for number in range(44))


@pytest.fixture
def surface() -> pygame.Surface:
    return pygame.Surface(SIZE)


def renderer(patient: bool = False) -> Renderer:
    return Renderer(SIZE, patient=patient, typeface=Typeface.BUNDLED, keys=KEYS)


def pixels(surface: pygame.Surface) -> bytes:
    return pygame.image.tobytes(surface, "RGB")


def every_state() -> SwarmState:
    state = swarm(30, ("core", "edge"))
    for one, kind in zip(state.peers.values(), PeerState, strict=False):
        one.state = kind
    hidden = peer("leaf-0", 77, "leaf")
    hidden.address, hidden.relays = "@" + "cd" * 32, (state.peers["core-1"].address,)
    state.peers[hidden.name] = hidden
    state.peers["core-5"].behaviour = "alters"
    state.peers["core-6"].mapped = "203.0.113.5:7000"
    state.health = healthy(state)
    return state


@pytest.mark.parametrize("theme", Theme)
def test_everything_at_once_can_be_drawn(theme: Theme, surface: pygame.Surface) -> None:
    state = every_state()
    traffic(state, 60)
    lookup(state, "core-9", "edge-9")
    state.flights.extend(flights(state, 50))
    everything = view(
        theme=theme,
        hovered="core-5",
        selected={"core-5", "core-7"},
        pinned="core-5",
        rectangle=(700, 500, 300, 200),
        prompt=Prompt.LOOKUP,
        typed="core",
        shows_fingers=True,
        shows_known=True,
        shows_keys=True,
        followed="lookup",
        results=("one", "two"),
        hidden_kinds={Kind.RING},
        only_group="edge",
        found={"edge-3"},
        notice=Notice("that is done", False, 1e9),
    )
    renderer(patient=True).draw(surface, state, everything, 0.0)
    assert len(set(pixels(surface))) > 20


def test_without_traffic_only_the_messages_are_seen_whose_way_is_followed() -> None:
    def picture(*, shows_traffic: bool, messages: int = 0, followed: str = "") -> bytes:
        state = swarm(20)
        if followed:
            state.flights.extend(lookup(state, "core-9", "core-3", followed).flights)
        state.flights.extend(flights(state, messages))
        state.health = healthy(state)
        return pixels(draw(state, view(shows_traffic=shows_traffic, followed=followed)))

    nothing = picture(shows_traffic=False)
    assert picture(shows_traffic=True, messages=40) != nothing
    assert picture(shows_traffic=False, messages=40) == nothing
    followed = picture(shows_traffic=False, followed="lookup")
    assert followed != nothing
    assert picture(shows_traffic=True, followed="lookup", messages=40) != followed


@pytest.mark.parametrize(
    "size",
    [(1, 1), (60, 900), (320, 200), (3840, 400), (2000, 2000)],
    ids=lambda size: f"{size[0]}x{size[1]}",
)
def test_no_window_is_too_small_or_odd(size: tuple[int, int]) -> None:
    state, chosen = SCENES["copies"]()
    chosen.hovered, chosen.shows_keys, chosen.notice = "core-3", True, Notice("so it is", True, 1e9)
    draw(state, chosen, size)


def test_an_empty_swarm_can_be_drawn(surface: pygame.Surface) -> None:
    renderer().draw(surface, SwarmState(), View(), 0.0)
    assert surface.get_at((400, 400))[:3] == DARK.ground


def test_names_that_nobody_has_any_more_are_no_harm(surface: pygame.Surface) -> None:
    gone = view(hovered="a", selected={"b"}, pinned="c", followed="d", found={"e"}, only_group="f")
    renderer().draw(surface, swarm(5), gone, 0.0)


def test_texts_from_other_machines_are_drawn_without_what_no_font_has(surface: pygame.Surface) -> None:
    state = swarm(5)
    state.name = "a\0b\n\x1b[31m"
    state.log.append(Line(NOW_MS, Kind.RUN, "core-1", "x\0\ud800" * 3, True))
    renderer().draw(surface, state, view(), 0.0)
    assert printable("a\0b") == "a b"


def test_an_unchanged_picture_is_the_same_again(surface: pygame.Surface) -> None:
    state, chosen = calm()
    state.flights.clear()
    made = renderer()
    made.draw(surface, state, chosen, 0.0)
    first = pixels(surface)
    surface.fill((255, 0, 255))
    made.draw(surface, state, chosen, 5.0)
    assert pixels(surface) == first


def test_no_text_is_rendered_twice(surface: pygame.Surface, monkeypatch: pytest.MonkeyPatch) -> None:
    state, chosen = calm()
    made = renderer()
    made.draw(surface, state, chosen, 0.0)
    type_ = Type(1.0, Typeface.BUNDLED)
    assert type_.text("ready", (1, 2, 3)) is type_.text("ready", (1, 2, 3))
    assert type_.text("ready", (1, 2, 3)) is not type_.text("ready", (1, 2, 4))

    class Forbidden:
        def __init__(self, *_: object) -> None:
            raise AssertionError("a font was loaded")

    monkeypatch.setattr(pygame.font, "Font", Forbidden)
    for frame in range(1, 30):
        made.draw(surface, state, chosen, frame / 10)


def test_a_text_is_cut_to_its_width() -> None:
    type_ = Type(1.0, Typeface.BUNDLED)
    whole = "message 41 to core-7 delivered"
    cut = type_.fitted(whole, 90)
    assert cut.endswith("…")
    assert whole.startswith(cut[:-1])
    assert type_.width(cut, Size.BODY) <= 90
    assert type_.fitted(whole, 900) == whole
    assert type_.fitted(whole, 1) == ""


def frames(made: Renderer, surface: pygame.Surface, state: SwarmState, chosen: View, first_s: float) -> None:
    """A second's frames: long enough for all that is drawn bit by bit."""
    for frame in range(60):
        made.draw(surface, state, chosen, first_s + frame / 60)


def test_what_is_drawn_bit_by_bit_becomes_what_is_drawn_at_once(surface: pygame.Surface) -> None:
    state, chosen = SCENES["killed"]()
    made = renderer()
    made.draw(surface, swarm(20), chosen, 0.0)
    frames(made, surface, state, chosen, 1.0)
    frames(made, surface, state, chosen, 2.0)
    whole = pygame.Surface(SIZE)
    renderer(patient=True).draw(whole, state, chosen, 0.0)
    assert difference(surface, whole).block < 2


def test_the_camera_is_followed_at_once_and_finely_soon_after(surface: pygame.Surface) -> None:
    state, chosen = swarm(60), view()
    traffic(state, 100)
    made = renderer()
    made.draw(surface, state, chosen, 0.0)
    before = pixels(surface)
    chosen.camera = Camera(0.4, -0.3, 2.5)
    made.draw(surface, state, chosen, 0.02)
    assert pixels(surface) != before
    whole = pygame.Surface(SIZE)
    renderer(patient=True).draw(whole, state, chosen, 0.0)
    assert difference(surface, whole).mean < 3
    frames(made, surface, state, chosen, 0.1)
    assert difference(surface, whole).block < 2


def test_a_death_is_seen_within_a_second(surface: pygame.Surface) -> None:
    state, chosen = swarm(40), view()
    made = renderer()
    frames(made, surface, state, chosen, 0.0)
    kill(state, 0.3)
    state.now_ms += 900
    frames(made, surface, state, chosen, 1.0)
    whole = pygame.Surface(SIZE)
    renderer(patient=True).draw(whole, state, chosen, 0.0)
    assert difference(surface, whole).block < 2


def test_messages_stand_while_time_stands(surface: pygame.Surface) -> None:
    state = swarm(20)
    made, chosen = renderer(), view()
    made.draw(surface, state, chosen, 0.0)
    state.flights.append(Flight("t", Kind.DATA, "core-1", "core-9", NOW_MS * 1000, 0, 1, 1))
    made.draw(surface, state, chosen, 0.1)
    chosen.playback.paused = True
    made.draw(surface, state, chosen, 0.2)
    standing = pixels(surface)
    made.draw(surface, state, chosen, 9.0)
    assert pixels(surface) == standing
    chosen.playback.paused = False
    made.draw(surface, state, chosen, 9.1)
    assert pixels(surface) != standing


def test_a_broadcast_spreads_hop_by_hop(surface: pygame.Surface) -> None:
    state, chosen = swarm(30), view(followed="broadcast")
    made = renderer()
    made.draw(surface, state, chosen, 0.0)
    state.flights.extend(broadcast(state, "core-4").flights)
    seen = []
    for frame in range(8):
        made.draw(surface, state, chosen, 0.1 + frame / 5)
        seen.append(pixels(surface))
    assert len(set(seen)) == 8


def test_who_is_outside_of_the_neighbourhood_is_dimmed() -> None:
    sprites = Sprites(DARK)
    bright, dim = (sprites.peer(Look(PeerState.MEMBER, 8.0, dim=dim)) for dim in (False, True))
    middle = bright.get_width() // 2, bright.get_height() // 2
    assert dim.get_at(middle).a < 0.4 * bright.get_at(middle).a


@pytest.mark.parametrize("theme", Theme)
@pytest.mark.parametrize("radius", [2.6, 5.0, 9.0])
def test_states_are_told_apart_by_their_outline_alone(theme: Theme, radius: float) -> None:
    sprites = Sprites(palette(theme))
    outlines = set()
    for state in PeerState:
        sprite, colour = sprites.peer(Look(state, radius)), palette(theme).states[state]
        near = tuple(
            sum(abs(part - wished) for part, wished in zip(sprite.get_at((x, y))[:3], colour, strict=True))
            < 90
            for x in range(sprite.get_width())
            for y in range(sprite.get_height())
        )
        outlines.add(near)
    assert len(outlines) >= (len(PeerState) if radius > 4 else len(PeerState) - 2)


@pytest.mark.parametrize(
    "look",
    [
        Look(PeerState.MEMBER, 8.0, hostile=True),
        Look(PeerState.MEMBER, 8.0, hidden=True),
        Look(PeerState.MEMBER, 8.0, mapped=True),
        Look(PeerState.MEMBER, 8.0, chosen=True),
        Look(PeerState.MEMBER, 8.0, group=2),
    ],
)
def test_marks_of_a_peer_are_seen(look: Look) -> None:
    sprites = Sprites(DARK)
    plain = sprites.peer(Look(PeerState.MEMBER, 8.0))
    marked = sprites.peer(look)
    assert pygame.image.tobytes(plain, "RGBA") != pygame.image.tobytes(marked, "RGBA")


def hits(made: Renderer) -> dict[str, tuple[int, int]]:
    """What is under the pixels of a fine grid, each with one of them."""
    return {made.panel_hit((x, y)): (x, y) for x in range(0, SIZE[0], 5) for y in range(0, SIZE[1], 5)}


def test_clicks_find_buttons_kinds_groups_lines_and_peers(surface: pygame.Surface) -> None:
    state, chosen = every_state(), view(pinned="core-7")
    state.log.append(Line(NOW_MS, Kind.RING, "core-1", "first", False))
    state.log.append(Line(NOW_MS, Kind.RING, "core-1", "second", False))
    made = renderer()
    assert made.panel_hit((5, 5)) == ""
    made.draw(surface, state, chosen, 0.0)
    found = hits(made)
    wanted = {"play", "slower", "faster", "live", "keys", "inspector", "panel", "kind:data", "group:edge"}
    assert wanted <= set(found)
    assert {"log:0", "log:1"} <= set(found)
    assert found["log:0"][1] < found["log:1"][1]
    assert any(name.startswith("peer:") for name in found)


def test_the_field_belongs_to_the_ring(surface: pygame.Surface) -> None:
    made = renderer()
    made.draw(surface, *calm(), 0.0)
    field = areas(SIZE).field
    random = Random(1)
    for _ in range(200):
        pixel = field.x + random.randrange(field.w), field.y + random.randrange(field.h)
        assert made.panel_hit(pixel) == ""


def test_the_scrubber_tells_the_share_of_the_time(surface: pygame.Surface) -> None:
    made = renderer()
    made.draw(surface, *calm(), 0.0)
    shares = [
        float(name.removeprefix("scrubber:"))
        for x in range(0, SIZE[0], 3)
        if (name := made.panel_hit((x, areas(SIZE).timeline.y + 30))).startswith("scrubber:")
    ]
    assert shares == sorted(shares)
    assert shares[0] < 0.01
    assert shares[-1] > 0.99


def test_the_key_sheet_lies_over_everything(surface: pygame.Surface) -> None:
    made, (state, chosen) = renderer(), calm()
    chosen.shows_keys = True
    made.draw(surface, state, chosen, 0.0)
    assert made.panel_hit((SIZE[0] // 2, SIZE[1] // 2)) == "keys"
    chosen.shows_keys = False
    made.draw(surface, state, chosen, 0.1)
    assert made.panel_hit((SIZE[0] // 2, SIZE[1] // 2)) == ""


def test_without_keys_there_is_no_sheet(surface: pygame.Surface) -> None:
    made, (state, chosen) = Renderer(SIZE, typeface=Typeface.BUNDLED), calm()
    chosen.shows_keys = True
    made.draw(surface, state, chosen, 0.0)
    assert made.panel_hit((SIZE[0] // 2, SIZE[1] // 2)) == ""


def test_a_notice_goes_when_its_time_is_over(surface: pygame.Surface) -> None:
    made, (state, chosen) = renderer(), calm()
    state.flights.clear()
    made.draw(surface, state, chosen, 0.0)
    plain = pixels(surface)
    chosen.notice = Notice("sent", False, 2.0)
    made.draw(surface, state, chosen, 1.0)
    assert pixels(surface) != plain
    made.draw(surface, state, chosen, 2.5)
    assert pixels(surface) == plain


def test_another_size_or_theme_is_drawn_at_once() -> None:
    made, (state, chosen) = renderer(), calm()
    for size in (SIZE, (900, 600)):
        for theme in Theme:
            chosen.theme = theme
            picture = pygame.Surface(size)
            made.draw(picture, state, chosen, 0.0)
            assert picture.get_at((areas(size).field.x + 2, 2))[:3] == palette(theme).ground


def test_an_old_time_is_shown_where_it_is(surface: pygame.Surface) -> None:
    state, chosen = calm()
    made = renderer()
    chosen.playback = Playback(False, True, 0.5, NOW_MS - 120_000, NOW_MS - 240_000, NOW_MS, (1, 2, 3))
    made.draw(surface, state, chosen, 0.0)
    first = pixels(surface)
    chosen.playback.at_ms = NOW_MS - 60_000
    made.draw(surface, state, chosen, 0.01)
    assert pixels(surface) != first


def test_what_is_remembered_of_long_runs_is_bounded(surface: pygame.Surface) -> None:
    made, state, chosen = renderer(), swarm(8), view()
    for frame in range(40):
        for one in list(state.peers.values())[:2]:
            del state.peers[one.name]
        for number in range(2):
            extra = peer(f"core-{frame}-{number}", 100 + 2 * frame + number)
            state.peers[extra.name] = extra
        made.draw(surface, state, chosen, frame / 10)
    assert len(state.peers) == 8
    gc.collect()
    assert sum(type(thing) is Type for thing in gc.get_objects()) < 20


def test_the_collector_is_calmed() -> None:
    before = gc.get_threshold()
    try:
        calm_collector()
        assert gc.get_threshold()[0] > before[0]
        assert gc.get_freeze_count() > 0
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def test_the_benchmark_still_runs() -> None:
    before = gc.get_threshold()
    try:
        found = measure(24, 60, 40, (640, 360), 0.0, moving=True)
    finally:
        pygame.display.quit()
        gc.set_threshold(*before)
        gc.unfreeze()
    assert found["frames"] >= 30
    assert found["median_fps"] >= found["worst_1_percent_fps"] > 0

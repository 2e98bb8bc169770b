"""The columns beside the ring: how it is and what the colours mean; who is inspected, and what happened."""

from __future__ import annotations

from typing import Final, NamedTuple

import pygame

from visualizer.draw.board import Canvas
from visualizer.draw.fonts import Size, Type
from visualizer.draw.sprites import PREMULTIPLIED, Look, Sprites
from visualizer.model.state import Kind, Line, PeerState, SwarmState
from visualizer.scene.areas import Area
from visualizer.scene.layout import group_numbers
from visualizer.scene.palette import Palette, mixed
from visualizer.scene.rows import (
    Health,
    Panel,
    Row,
    StatusPart,
    census,
    clock,
    finger_table,
    health,
    inspector,
    known_peers,
    results,
    traffic_rows,
    trip_panel,
)
from visualizer.view import View

MOST_LINES: Final = 60
KEYED_KINDS: Final = 9  # have a number key
MOST_GROUPS: Final = 8


class LeftColumn(NamedTuple):
    """What the left column says."""

    name: str
    run_state: str
    health: Health
    traffic: tuple[Row, ...]
    census: tuple[tuple[PeerState, int], ...]
    groups: tuple[tuple[str, int], ...]
    only_group: str
    hidden_kinds: frozenset[Kind]
    hostile: int
    hidden: int


def left_column(state: SwarmState, view: View) -> LeftColumn:
    """Reads it from the state."""
    sizes = dict.fromkeys(group_numbers(state), 0)
    for peer in state.peers.values():
        sizes[peer.group] += 1
    return LeftColumn(
        name=state.name or view.title or "swarm",
        run_state=state.run_state,
        health=health(state),
        traffic=traffic_rows(state),
        census=tuple(census(state)),
        groups=tuple(sizes.items()),
        only_group=view.only_group,
        hidden_kinds=frozenset(view.hidden_kinds),
        hostile=sum(bool(peer.behaviour) for peer in state.peers.values()),
        hidden=sum(peer.hidden for peer in state.peers.values()),
    )


def draw_left(column: LeftColumn, area: Area, type_: Type, palette: Palette, sprites: Sprites) -> Canvas:
    """Draws it, as much as there is room for, the most important first."""
    canvas = Canvas(area, type_, palette)
    x, y, w = canvas.px(22), canvas.px(18), area.w - canvas.px(30)
    canvas.write(column.name, x, y, palette.text, Size.TITLE, True, w)
    y += type_.height(Size.TITLE, True)
    if column.run_state:
        canvas.write(column.run_state, x, y, palette.quiet, width=w)
    y += canvas.row_height() + canvas.px(8)
    colour = palette.tone(column.health.tone)
    canvas.write(column.health.percent, x - canvas.px(2), y, colour, Size.HUGE, True)
    y += type_.height(Size.HUGE, True) - canvas.px(4)
    canvas.write(column.health.caption, x, y, colour, Size.BODY, width=w)
    y += canvas.row_height() + canvas.px(6)
    label_w = canvas.px(98)
    y = canvas.rows(column.health.rows, x, y, w, label_w, area.h)
    y = canvas.rows(column.traffic, x, y + canvas.px(8), w, label_w, area.h)
    y = _peers(canvas, column, x, y + canvas.px(14), sprites)
    if len(column.groups) > 1:
        y = _groups(canvas, column, x, y + canvas.px(14), w)
    _kinds(canvas, column, x, y + canvas.px(14))
    return canvas


def _heading(canvas: Canvas, text: str, x: int, y: int) -> int:
    canvas.write(text.upper(), x, y, canvas.palette.quiet, Size.SMALL, True)
    return y + canvas.type.height(Size.SMALL, True) + canvas.px(5)


def _peers(canvas: Canvas, column: LeftColumn, x: int, y: int, sprites: Sprites) -> int:
    rows: list[tuple[Look, str, int]] = [
        (Look(kind, 5.0 * canvas.type.scale), kind.value, number) for kind, number in column.census
    ]
    if column.hostile:
        mark = Look(PeerState.MEMBER, 4.0 * canvas.type.scale, hostile=True)
        rows.append((mark, "does harm", column.hostile))
    if column.hidden:
        rows.append((Look(PeerState.MEMBER, 4.0 * canvas.type.scale, hidden=True), "hidden", column.hidden))
    if y + canvas.row_height() * 2 > canvas.area.h or not rows:
        return y
    y, step = _heading(canvas, "peers", x, y), canvas.row_height() + canvas.px(1)
    for look, word, number in rows:
        if y + step > canvas.area.h:
            break
        sprite = sprites.peer(look)
        middle = x + canvas.px(6), y + canvas.type.height(Size.BODY) // 2
        corner = middle[0] - sprite.get_width() // 2, middle[1] - sprite.get_height() // 2
        canvas.surface.blit(sprite, corner, special_flags=PREMULTIPLIED)
        canvas.write(word, x + canvas.px(20), y, canvas.palette.text)
        canvas.write(str(number), x + canvas.px(150), y, canvas.palette.quiet, right=True)
        y += step
    return y


def _groups(canvas: Canvas, column: LeftColumn, x: int, y: int, w: int) -> int:
    step = canvas.row_height() + canvas.px(1)
    if y + step * 3 > canvas.area.h:
        return y
    y = _heading(canvas, "groups  (G)", x, y)
    for number, (group, size) in enumerate(column.groups[:MOST_GROUPS]):
        if y + step > canvas.area.h:
            break
        on = column.only_group in ("", group)
        colour, text = canvas.palette.group(number), canvas.palette.text if on else canvas.palette.quiet
        box = pygame.Rect(x + canvas.px(1), y + canvas.px(3), canvas.px(11), canvas.px(11))
        pygame.draw.rect(canvas.surface, colour, box, 0 if on else 1, border_radius=canvas.px(2))
        canvas.write(group, x + canvas.px(20), y, text, width=canvas.px(95))
        canvas.write(str(size), x + canvas.px(150), y, canvas.palette.quiet, right=True)
        canvas.hit(x, y, w, step, f"group:{group}")
        y += step
    if len(column.groups) > MOST_GROUPS and y + step <= canvas.area.h:
        more = f"and {len(column.groups) - MOST_GROUPS} more"
        canvas.write(more, x + canvas.px(20), y, canvas.palette.quiet)
        y += step
    return y


def _kinds(canvas: Canvas, column: LeftColumn, x: int, y: int) -> None:
    kinds, step = list(Kind), canvas.row_height() + canvas.px(1)
    lines = (len(kinds) + 1) // 2
    if y + step * (lines + 1) > canvas.area.h:
        return
    y = _heading(canvas, "shown  (1-9)", x, y)
    for index, kind in enumerate(kinds):
        left, top = x + (index // lines) * canvas.px(100), y + (index % lines) * step
        on = kind not in column.hidden_kinds
        colour = canvas.palette.kinds[kind] if on else mixed(canvas.palette.quiet, canvas.palette.ground, 0.5)
        middle = left + canvas.px(16), top + canvas.type.height(Size.BODY) // 2
        digit = str(index + 1) if index < KEYED_KINDS else ""
        canvas.write(digit, left, top, canvas.palette.quiet, Size.SMALL)
        canvas.dot(colour, *middle, 4.0, hollow=not on)
        text = canvas.palette.text if on else mixed(canvas.palette.quiet, canvas.palette.ground, 0.7)
        canvas.write(kind.value, left + canvas.px(26), top, text)
        canvas.hit(left, top, canvas.px(96), step, f"kind:{kind.value}")


class RightColumn(NamedTuple):
    """What the right column says. Lines come with their number in the state's log."""

    panels: tuple[Panel, ...]
    lines: tuple[tuple[int, Line], ...]
    shows_log: bool


def right_column(state: SwarmState, view: View) -> RightColumn:
    """Reads it from the state. Tables are those of one peer: the inspected one, or the only one selected."""
    one = view.pinned or (next(iter(view.selected)) if len(view.selected) == 1 else "")
    panels = [
        results(view),
        trip_panel(state, view),
        inspector(state, view),
        finger_table(state, one) if view.shows_fingers else None,
        known_peers(state, one) if view.shows_known else None,
    ]
    lines: list[tuple[int, Line]] = []
    for index in range(len(state.log) - 1, max(-1, len(state.log) - 20 * MOST_LINES), -1):
        if len(lines) == MOST_LINES or not view.shows_log:
            break
        if state.log[index].kind not in view.hidden_kinds:
            lines.append((index, state.log[index]))
    return RightColumn(
        tuple(panel for panel in panels if panel is not None), tuple(reversed(lines)), view.shows_log
    )


def draw_right(column: RightColumn, area: Area, type_: Type, palette: Palette) -> Canvas:
    """Draws it: panels from the top, the log below in what is left."""
    canvas = Canvas(area, type_, palette)
    gap, x, w = canvas.px(10), canvas.px(4), area.w - canvas.px(16)
    y = canvas.px(14)
    for panel in column.panels:
        below = y
        y = canvas.panel(panel, x, y, w, area.h - canvas.px(4))
        y += gap if y > below else 0
    if column.shows_log:
        _log(canvas, column.lines, x, y, w)
    return canvas


def _log(canvas: Canvas, lines: tuple[tuple[int, Line], ...], x: int, y: int, w: int) -> None:
    inset, step = canvas.px(12), canvas.type.height(Size.SMALL) + canvas.px(5)
    title = canvas.type.height(Size.HEAD, True) + canvas.px(8)
    height = canvas.area.h - canvas.px(4) - y
    room = (height - title - inset - canvas.px(6)) // step
    if room < 3:
        return
    palette = canvas.palette
    canvas.hit(x, y, w, height, "log")
    canvas.card(x, y, w, height)
    canvas.write("events", x + inset, y + canvas.px(9), palette.text, Size.HEAD, True)
    if not lines:
        canvas.write("nothing happened yet", x + inset, y + inset + title, palette.quiet)
    y += inset + title - canvas.px(4)
    time_w = canvas.type.width("00:00:00", Size.SMALL) + canvas.px(8)
    names = [canvas.type.width(line.peer, Size.SMALL) for _, line in lines[-room:] if line.peer]
    peer_w = min(canvas.px(96), max(names, default=0) + canvas.px(10))
    for number, line in lines[-room:]:
        left = x + inset
        canvas.write(clock(line.time_ms), left, y, palette.quiet, Size.SMALL)
        left += time_w
        middle = left + canvas.px(3), y + canvas.type.height(Size.SMALL) // 2
        canvas.dot(palette.kinds[line.kind], *middle, 3.0)
        left += canvas.px(12)
        if line.peer:
            canvas.write(line.peer, left, y, palette.accent, Size.SMALL, width=peer_w - canvas.px(6))
            left += peer_w
        colour = palette.bad if line.is_bad else palette.text
        canvas.write(line.text, left, y, colour, Size.SMALL, width=x + w - inset - left)
        canvas.hit(x, y, w, step, f"log:{number}")
        y += step


def draw_status(parts: tuple[StatusPart, ...], area: Area, type_: Type, palette: Palette) -> Canvas:
    """The line at the window's foot."""
    canvas = Canvas(area, type_, palette)
    canvas.surface.fill(palette.panel)
    pygame.draw.line(canvas.surface, palette.border, (0, 0), (area.w, 0))
    x, y = canvas.px(22), (area.h - type_.height(Size.SMALL)) // 2
    for index, part in enumerate(parts):
        if index:
            x += canvas.px(10)
            pygame.draw.circle(canvas.surface, palette.border, (x, area.h // 2), canvas.px(1.6))
            x += canvas.px(10)
        room = area.w - canvas.px(140) - x
        if room < canvas.px(40):
            break
        x += canvas.write(
            part.text, x, y, palette.tone(part.tone), Size.SMALL, part.tone.value == "strong", room
        )
    canvas.write("?  all keys", area.w - canvas.px(16), y, palette.quiet, Size.SMALL, right=True)
    canvas.hit(area.w - canvas.px(110), 0, canvas.px(110), area.h, "keys")
    return canvas

"""Events of pygame as inputs."""

from __future__ import annotations

import pygame

from visualizer.controls.inputs import Button, Input, Key, Move, Press, Release, Wheel

_BUTTONS = {1: Button.LEFT, 2: Button.MIDDLE, 3: Button.RIGHT}
_NAMES = {"enter": "return", "keypad enter": "return", "pageup": "page up", "pagedown": "page down"}


def input_of(event: pygame.event.Event) -> Input | None:
    """What a hand did; None: nothing that anybody here cares about."""
    if event.type == pygame.KEYDOWN:
        return _key(event)
    if event.type == pygame.MOUSEMOTION:
        return Move(_pixel(event.pos))
    if event.type == pygame.MOUSEWHEEL:
        return Wheel(_pixel(pygame.mouse.get_pos()), event.y) if event.y else None
    if event.type in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP) and event.button in _BUTTONS:
        kind = Press if event.type == pygame.MOUSEBUTTONDOWN else Release
        shift = bool(pygame.key.get_mods() & pygame.KMOD_SHIFT)
        return kind(_pixel(event.pos), _BUTTONS[event.button], shift)
    return None


def _key(event: pygame.event.Event) -> Key | None:
    mods = getattr(event, "mod", 0)
    if mods & (pygame.KMOD_CTRL | pygame.KMOD_META):
        return None  # it is somebody else's: the window manager's, or a habit from editors
    name = pygame.key.name(event.key)
    text = getattr(event, "unicode", "")
    shown = text if text and (text.isprintable()) else ""
    return Key(_NAMES.get(name, name), shown, bool(mods & pygame.KMOD_SHIFT))


def _pixel(position: tuple[float, float]) -> tuple[int, int]:
    return round(position[0]), round(position[1])

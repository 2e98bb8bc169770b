"""Events of pygame as inputs."""

from __future__ import annotations

import pygame

from visualizer.controls.inputs import Button, Input, Key, Move, Pixel, Press, Release, Wheel

_BUTTONS = {1: Button.LEFT, 2: Button.MIDDLE, 3: Button.RIGHT}
_NAMES = {"enter": "return", "keypad enter": "return"}


class Hands:
    """Remembers where the pointer is, which events of the wheel do not say."""

    def __init__(self) -> None:
        self._pointer: Pixel = (0, 0)

    def input_of(self, event: pygame.event.Event) -> Input | None:
        """What a hand did; None: nothing that anybody here cares about."""
        match event.type:
            case pygame.KEYDOWN:
                return _key(event)
            case pygame.MOUSEMOTION:
                self._pointer = _pixel(event.pos)
                return Move(self._pointer)
            case pygame.MOUSEWHEEL:
                return Wheel(self._pointer, event.y) if event.y else None
            case pygame.MOUSEBUTTONDOWN | pygame.MOUSEBUTTONUP if event.button in _BUTTONS:
                self._pointer = _pixel(event.pos)
                kind = Press if event.type == pygame.MOUSEBUTTONDOWN else Release
                shift = bool(pygame.key.get_mods() & pygame.KMOD_SHIFT)
                return kind(self._pointer, _BUTTONS[event.button], shift)
            case _:
                return None


def _key(event: pygame.event.Event) -> Key | None:
    mods = getattr(event, "mod", 0)
    if mods & (pygame.KMOD_CTRL | pygame.KMOD_META):
        return None  # it is somebody else's: the window manager's, or a habit from editors
    name = pygame.key.name(event.key)
    text = getattr(event, "unicode", "")
    return Key(_NAMES.get(name, name), text if text.isprintable() else "", bool(mods & pygame.KMOD_SHIFT))


def _pixel(position: tuple[float, float]) -> Pixel:
    return round(position[0]), round(position[1])

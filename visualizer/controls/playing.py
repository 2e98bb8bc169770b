"""Keys that change what time is shown. How time runs is the player's; here is only what a hand wants of it."""

from __future__ import annotations

from visualizer.controls import looking
from visualizer.controls.actions import Action, Live, Pause, Seek, Step
from visualizer.controls.desk import Desk
from visualizer.limits import WINDOW
from visualizer.view import SPEEDS


def pause(desk: Desk) -> list[Action]:
    """Time stands still, or goes on from where it stood."""
    if desk.view.playback.live:
        desk.say("time stands still; End shows the present again")
    return [Pause()]


def step(_: Desk) -> list[Action]:
    """One event on; time stands still."""
    return [Step(1)]


def step_back(_: Desk) -> list[Action]:
    """One event back; time stands still."""
    return [Step(-1)]


def slower(desk: Desk) -> list[Action]:
    """The next lower speed."""
    return _speed(desk, -1)


def faster(desk: Desk) -> list[Action]:
    """The next higher speed."""
    return _speed(desk, 1)


def back(desk: Desk) -> list[Action]:
    """A second back; with shift the picture moves."""
    return _arrow(desk, -1)


def forth(desk: Desk) -> list[Action]:
    """A second on; with shift the picture moves."""
    return _arrow(desk, 1)


def first(desk: Desk) -> list[Action]:
    """The beginning of what is known."""
    return [seek(desk, desk.view.playback.first_ms)]


def live(_: Desk) -> list[Action]:
    """The present; of a recording its end."""
    return [Live()]


def next_fault(desk: Desk) -> list[Action]:
    """The next fault, death or missed expectation after what is shown; after the last the first."""
    playback = desk.view.playback
    found = desk.sight.next_fault(_shown_ms(desk))
    if found is None:
        found = desk.sight.next_fault(playback.first_ms - 1)
    if found is None:
        return desk.say("nothing went wrong so far")
    return [seek(desk, found)]


def seek(desk: Desk, at_ms: float) -> Seek:
    """The nearest instant that is known."""
    playback = desk.view.playback
    return Seek(min(max(float(at_ms), playback.first_ms), playback.last_ms))


def seek_share(desk: Desk, share: float) -> Seek:
    """The instant at this share of all that is known."""
    playback = desk.view.playback
    span = playback.last_ms - playback.first_ms
    return seek(desk, playback.first_ms + min(max(share, 0.0), 1.0) * span)


def up(desk: Desk) -> list[Action]:
    """Look farther up."""
    looking.pan(desk, 0, WINDOW.pan)
    return []


def down(desk: Desk) -> list[Action]:
    """Look farther down."""
    looking.pan(desk, 0, -WINDOW.pan)
    return []


def _arrow(desk: Desk, direction: int) -> list[Action]:
    if desk.shift:
        looking.pan(desk, -direction * WINDOW.pan, 0)
        return []
    return [seek(desk, _shown_ms(desk) + direction * WINDOW.scrub_ms)]


def _shown_ms(desk: Desk) -> float:
    playback = desk.view.playback
    return playback.last_ms if playback.live else playback.at_ms


def _speed(desk: Desk, by: int) -> list[Action]:
    playback = desk.view.playback
    nearest = min(range(len(SPEEDS)), key=lambda index: abs(SPEEDS[index] - playback.speed))
    playback.speed = SPEEDS[min(max(nearest + by, 0), len(SPEEDS) - 1)]
    return desk.say(
        f"{playback.speed:g} times as fast" + (" once it is no longer live" if playback.live else "")
    )

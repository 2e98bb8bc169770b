"""Keys that change what time is shown."""

from __future__ import annotations

from visualizer.controls import looking
from visualizer.controls.actions import Action
from visualizer.controls.desk import Desk
from visualizer.limits import WINDOW
from visualizer.view import SPEEDS


def pause(desk: Desk) -> list[Action]:
    """Time stands still, or goes on from where it stood."""
    playback = desk.view.playback
    if playback.live:
        seek(desk, playback.last_ms)
        return desk.say("paused; End shows the present again")
    playback.paused = not playback.paused
    return []


def step(desk: Desk) -> list[Action]:
    """A tenth of a second on."""
    return _by(desk, WINDOW.step_ms)


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
    seek(desk, desk.view.playback.first_ms)
    return []


def live(desk: Desk) -> list[Action]:
    """The present; of a recording its end."""
    playback = desk.view.playback
    playback.live, playback.paused, playback.at_ms = True, False, float(playback.last_ms)
    return []


def next_fault(desk: Desk) -> list[Action]:
    """The next fault, death or missed expectation after what is shown; after the last the first."""
    playback = desk.view.playback
    now = playback.last_ms if playback.live else playback.at_ms
    found = desk.sight.next_fault(now)
    if found is None:
        found = desk.sight.next_fault(playback.first_ms - 1)
    if found is None:
        return desk.say("nothing went wrong so far")
    seek(desk, found)
    return []


def seek(desk: Desk, at_ms: float) -> None:
    """Show this instant, standing still."""
    playback = desk.view.playback
    playback.live, playback.paused = False, True
    playback.at_ms = min(max(float(at_ms), playback.first_ms), playback.last_ms)


def seek_share(desk: Desk, share: float) -> None:
    """Show the instant at this share of all that is known."""
    playback = desk.view.playback
    seek(desk, playback.first_ms + min(max(share, 0.0), 1.0) * (playback.last_ms - playback.first_ms))


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
    return _by(desk, direction * WINDOW.scrub_ms)


def _by(desk: Desk, ms: float) -> list[Action]:
    playback = desk.view.playback
    seek(desk, (playback.last_ms if playback.live else playback.at_ms) + ms)
    return []


def _speed(desk: Desk, by: int) -> list[Action]:
    playback = desk.view.playback
    nearest = min(range(len(SPEEDS)), key=lambda index: abs(SPEEDS[index] - playback.speed))
    playback.speed = SPEEDS[min(max(nearest + by, 0), len(SPEEDS) - 1)]
    return desk.say(
        f"{playback.speed:g} times as fast" + (" once it is no longer live" if playback.live else "")
    )

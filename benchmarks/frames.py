"""How many frames a second the visualizer draws, without a graphics card and without a window.

    python -m benchmarks.frames [--peers N ...] [--edges-per-peer E] [--messages M] [--size WxH] [--seconds S] [--json]

The swarm changes as a live one does: messages start at every frame and fly, peers die and come back, counts of edges, health
and log go on. A frame is one call of the renderer and one flip. The worst 1% is the mean of the slowest hundredth.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from random import Random

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import pygame

from tests.visualizer import scenes
from visualizer.draw.pace import calm_collector
from visualizer.draw.renderer import Renderer
from visualizer.model.state import Edge, Flight, Kind, Line, PeerState, SwarmState
from visualizer.scene.camera import zoomed
from visualizer.scene.flight import HOP_S
from visualizer.view import View

FRAME_S = 1 / 60
CHANGES_EVERY_S = 0.1
WARM_UP_FRAMES = 30


class Life:
    """What happens in a swarm, at a frame's pace."""

    def __init__(self, state: SwarmState, messages: int, seed: int = 1) -> None:
        self._state, self._random = state, Random(seed)
        self._names = list(state.peers)
        self._per_frame = messages * FRAME_S / HOP_S
        self._owed, self._number, self._changed_at = 0.0, 0, 0.0

    def go_on(self, now_s: float) -> None:
        """Whatever happens until ``now_s``."""
        state, random = self._state, self._random
        state.now_ms = scenes.NOW_MS + round(now_s * 1000)
        self._owed += self._per_frame
        while self._owed >= 1:
            self._owed -= 1
            self._number += 1
            start, end = random.sample(self._names, 2)
            kind = random.choice((Kind.DATA, Kind.LOOKUP, Kind.RECEIPT))
            state.flights.append(
                Flight(f"{start}/{self._number}", kind, start, end, state.now_ms * 1000, 0, 1, 1)
            )
        if now_s - self._changed_at >= CHANGES_EVERY_S:
            self._changed_at = now_s
            self._change()

    def _change(self) -> None:
        state, random = self._state, self._random
        for name in random.sample(self._names, max(1, len(self._names) // 100)):
            peer = state.peers[name]
            peer.state = PeerState.MEMBER if peer.state is PeerState.DEAD else random.choice(list(PeerState))
            state.log.append(Line(state.now_ms, Kind.RUN, name, f"is {peer.state.value}", False))
        state.health = scenes.healthy(state)
        for pair in random.sample(list(state.edges), len(state.edges) // 10):
            state.edges[pair] = Edge(*pair, {"data": random.paretovariate(1.2)}, state.now_ms)
        for peer in state.peers.values():
            peer.sent = random.uniform(0, 9)


def measure(
    peers: int, edges: int, messages: int, size: tuple[int, int], seconds: float, moving: bool
) -> dict[str, float]:
    """Frames a second: median, and of the mean of the slowest hundredth; milliseconds of the slowest."""
    pygame.display.init()
    surface = pygame.display.set_mode(size)
    state = scenes.swarm(peers, ("core", "edge", "leaf"))
    scenes.traffic(state, edges)
    scenes.chatter(state)
    view, life, renderer = scenes.view(), Life(state, messages), Renderer(size)
    calm_collector()
    times: list[float] = []
    until, frame = time.perf_counter() + seconds, 0
    while time.perf_counter() < until or frame < 2 * WARM_UP_FRAMES:
        now_s = frame * FRAME_S
        life.go_on(now_s)
        if moving:
            look_about(view, frame, size)
        began = time.perf_counter()
        renderer.draw(surface, state, view, now_s)
        pygame.display.flip()
        times.append(time.perf_counter() - began)
        frame += 1
    return figures(times[WARM_UP_FRAMES:])


def look_about(view: View, frame: int, size: tuple[int, int]) -> None:
    """Zooms in and out for two seconds of every four, and points at one peer after another."""
    if frame % 240 < 120:
        factor = 1.02 if frame % 240 < 60 else 1 / 1.02
        view.camera = zoomed(view.camera, factor, (size[0] * 0.6, size[1] * 0.3), size)
    if frame % 30 == 0:
        view.hovered = f"core-{frame // 30 % 100}"


def figures(times: list[float]) -> dict[str, float]:
    """From the seconds of frames."""
    slowest = sorted(times)[-max(1, len(times) // 100) :]
    return {
        "frames": len(times),
        "median_fps": 1 / statistics.median(times),
        "worst_1_percent_fps": 1 / statistics.mean(slowest),
        "slowest_ms": max(times) * 1000,
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=int, nargs="+", default=[500, 1000])
    parser.add_argument("--edges-per-peer", type=int, default=9)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--size", default="1600x900")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--moving", action="store_true", help="zoom and point while it runs")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    for peers in options.peers:
        edges = peers * options.edges_per_peer
        found = measure(peers, edges, options.messages, (width, height), options.seconds, options.moving)
        if options.json:
            print(json.dumps({"peers": peers, "edges": edges, **found}))
            continue
        print(
            f"{peers} peers, {edges} edges, {options.messages} messages: median {found['median_fps']:.0f} frames/s,"
            f" worst 1% {found['worst_1_percent_fps']:.0f}, slowest {found['slowest_ms']:.1f} ms"
        )


if __name__ == "__main__":
    main()

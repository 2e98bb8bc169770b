"""Two ends of a tunnel with programs behind them, and messages between that arrive in order, late, or not at all."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Final

from samples.mesh_tunnel import (
    Abort,
    Accepted,
    Arrived,
    Dial,
    Dialled,
    Finish,
    Input,
    Output,
    Say,
    Settled,
    Take,
    Taken,
    Tunnel,
    Write,
    Written,
    decode,
    encode,
)

LEFT: Final = ("left", 1)
RIGHT: Final = ("right", 2)


class Program:
    """Has ``sends`` to send, and keeps what it gets."""

    def __init__(self, sends: bytes) -> None:
        self.sends = sends
        self.got = b""
        self.ended = False
        self.reset = ""


class End:
    """One peer: its tunnel, the programs by number of stream, and what is still to be carried out."""

    def __init__(self, name: tuple[str, int], other: tuple[str, int], *, exposes: bool) -> None:
        self.name = name
        self.other = other
        self.tunnel = Tunnel(exposes=exposes)
        self.programs: dict[int, Program] = {}
        self.said: deque[Say] = deque()
        self.todo: list[Take | Write | Dial] = []
        self.finished: set[int] = set()

    def feed(self, input: Input) -> None:
        for output in self.tunnel.handle(input, 0.0):
            self._note(output)

    def _note(self, output: Output) -> None:
        program = self.programs.get(output.stream)
        if isinstance(output, Say):
            self.said.append(output)
        elif isinstance(output, Abort):
            self.todo = [each for each in self.todo if each.stream != output.stream]
            if program is not None:
                program.reset = output.reason
        elif isinstance(output, Finish):
            self.finished.add(output.stream)
        else:
            self.todo.append(output)

    def waiting_to_be_written(self, number: int) -> int:
        return sum(len(each.data) for each in self.todo if isinstance(each, Write) and each.stream == number)


class World:
    """Takes one step of those that are possible at a time, whichever ``rng`` chooses. ``loss``: share of messages that fail."""

    def __init__(self, streams: list[tuple[bytes, bytes]], rng: Random, loss: float = 0.0) -> None:
        self.rng = rng
        self.loss = loss
        self.ends = {
            LEFT: End(LEFT, RIGHT, exposes=False),
            RIGHT: End(RIGHT, LEFT, exposes=True),
        }
        for number, (there, back) in enumerate(streams):
            self.ends[LEFT].programs[number] = Program(there)
            self.ends[RIGHT].programs[number] = Program(back)
            self.ends[LEFT].feed(Accepted(number, RIGHT))

    def run(self) -> None:
        while self.step():
            pass

    def step(self) -> bool:
        """Returns whether there was anything to do."""
        steps = [(end, step) for end in self.ends.values() for step in self._steps(end)]
        if not steps:
            return False
        end, step = self.rng.choice(steps)
        if step == "say":
            self._deliver(end)
        else:
            self._work(end, step)
        return True

    def _steps(self, end: End) -> list[str | Take | Write | Dial]:
        firsts = {(type(each), each.stream): each for each in reversed(end.todo)}  # writes keep their order
        return [*(["say"] if end.said else []), *firsts.values()]

    def _deliver(self, end: End) -> None:
        say = end.said.popleft()
        if self.rng.random() < self.loss:
            end.feed(Settled(say.stream, "timed out"))
            return
        frame = decode(encode(say.frame))
        assert frame == say.frame
        assert say.peer == end.other
        self.ends[end.other].feed(Arrived(end.name, frame))
        end.feed(Settled(say.stream))

    def _work(self, end: End, step: str | Take | Write | Dial) -> None:
        assert not isinstance(step, str)
        end.todo.remove(step)
        program = end.programs[step.stream]
        match step:
            case Dial(stream):
                end.feed(Dialled(stream))
            case Take(stream, most):
                size = self.rng.randint(1, most)
                data, program.sends = program.sends[:size], program.sends[size:]
                end.feed(Taken(stream, data))
            case Write(stream, data):
                program.got += data
                end.feed(Written(stream, len(data)))

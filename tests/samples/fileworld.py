"""Peers that have a file, in virtual time: what each does when it is asked, and a fetch among them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from samples.filesharing.chunks import LEAST_CHUNK, Bitmap, ChunkList, list_of
from samples.filesharing.fetching import (
    IN_FLIGHT_BYTES,
    AskFor,
    AskForList,
    Begin,
    Came,
    Done,
    Dropped,
    Failed,
    Fetch,
    Found,
    GaveUp,
    Input,
    ListCame,
    Output,
    Search,
    Store,
    Stored,
    TimerFired,
)
from samples.filesharing.holders import Fault

ANSWER_S = 15.0
MOST_EVENTS = 20_000


def contents(count: int, last: int = 100) -> list[bytes]:
    """A file of so many chunks, the last one of so many bytes."""
    random = Random(count)
    return [random.randbytes(LEAST_CHUNK) for _ in range(count - 1)] + [random.randbytes(last)] * bool(count)


def listed(pieces: list[bytes]) -> ChunkList:
    """The list of a file in memory."""
    return list_of(pieces, LEAST_CHUNK)


@dataclass(frozen=True)
class Character:
    """How a holder behaves: seconds to an answer, and from which of its answers on it lies, is silent, or refuses."""

    seconds: float = 0.1
    then: Fault | None = None
    good: int = 0

    @property
    def is_honest(self) -> bool:
        return self.then is None and self.seconds < ANSWER_S


@dataclass
class World:
    """A fetch, the holders, and what happened."""

    pieces: list[bytes]
    characters: dict[str, Character]
    fetch: Fetch
    now: float = 0.0
    outputs: list[tuple[float, Output]] = field(default_factory=list)
    stored: dict[int, bytes] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    _queue: list[tuple[float, int, Input]] = field(default_factory=list)
    _answers: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, pieces: list[bytes], characters: Sequence[Character], have: Sequence[int] | None = None
    ) -> World:
        chunks = listed(pieces)
        known = {} if have is None else {"chunks": chunks, "have": Bitmap(chunks.count, have)}
        fetch = Fetch(chunks.digest, 0.0, **known)  # type: ignore[arg-type]
        return cls(pieces, {f"peer-{n}": one for n, one in enumerate(characters)}, fetch)

    def run(self) -> Output:
        """Until the fetch ends; its last word."""
        self._give(TimerFired())
        for _ in range(MOST_EVENTS):
            if self.fetch.ended:
                return self.outputs[-1][1]
            due = self.fetch.next_deadline()
            if self._queue and self._queue[0][0] <= due:
                self.now, _, event = heapq.heappop(self._queue)
                self._give(event)
            else:
                assert due < math.inf, "it waits for nothing"
                self.now = max(self.now, due)
                self._give(TimerFired())
        raise AssertionError("it goes on for ever")

    def dropped(self) -> dict[str, Fault]:
        """Who was dropped, and why the last time."""
        return {output.holder: output.fault for _, output in self.outputs if isinstance(output, Dropped)}

    def _give(self, event: Input) -> None:
        for output in self.fetch.handle(event, self.now):
            self.outputs.append((self.now, output))
            self._do(output)
        assert self._in_flight() * LEAST_CHUNK <= IN_FLIGHT_BYTES

    def _in_flight(self) -> int:
        return sum(len(holder.asked) for holder in self.fetch.holders)

    def _do(self, output: Output) -> None:
        match output:
            case Search():
                for name in self.characters:
                    self._later(0.05, Found(name))
            case AskForList(holder):
                self._answer(holder, None)
            case AskFor(holder, index):
                self.asked.append((holder, index))
                self._answer(holder, index)
            case Store(index, data):
                assert index not in self.stored, "stored twice"
                self.stored[index] = data
                self._later(0.001, Stored(index))
            case Begin() | Dropped() | Done() | GaveUp():
                pass

    def _answer(self, holder: str, index: int | None) -> None:
        character = self.characters[holder]
        number = self._answers[holder] = self._answers.get(holder, 0) + 1
        bad = None if number <= character.good else character.then
        if bad is Fault.SILENT or character.seconds >= ANSWER_S:
            self._later(ANSWER_S, Failed(holder, index, Fault.SILENT))
        elif bad is Fault.REFUSES:
            self._later(character.seconds, Failed(holder, index, Fault.REFUSES))
        elif index is None:
            right = listed(self.pieces)
            wrong = ChunkList(right.size + 1, right.chunk, right.hashes)
            self._later(character.seconds, ListCame(holder, wrong if bad else right, "name"))
        else:
            data = self.pieces[index]
            wrong_data = bytes([data[0] ^ 1]) + data[1:]
            self._later(character.seconds, Came(holder, index, wrong_data if bad else data))

    def _later(self, seconds: float, event: Input) -> None:
        heapq.heappush(self._queue, (self.now + seconds, len(self.outputs) + len(self._queue) * 10**6, event))

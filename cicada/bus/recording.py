"""Events in a file: one JSON envelope a line, appended in the order they came."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from cicada.bus.subscriber import Subscriber
from cicada.clock import Clock
from cicada.errors import DeliveryTimeout, Unavailable
from cicada.events import AnyEvent, Envelope, EventsLost
from cicada.limits import BUS, BusLimits
from cicada.wire.decoding import UNDECODABLE

_logger = logging.getLogger("cicada.bus.recording")


class Recorder:
    """Appends envelopes to ``path`` in pieces; after ``recording_max`` bytes it drops and counts instead.

    The last line of a full recording is an EventsLost that says why it ends. ``dropped`` counts what came later, or what the
    disk did not take from the first ``problem`` on.
    """

    def __init__(self, path: Path, *, clock: Clock, limits: BusLimits = BUS) -> None:
        self._path = path
        self._clock = clock
        self._limits = limits
        self._encoder = msgspec.json.Encoder()
        self._pending = bytearray()
        self._size = 0
        self._file: BinaryIO | None = None
        self._last: dict[tuple[str, type[AnyEvent]], int] = {}
        self.dropped = 0
        self.problem = ""

    def open(self) -> None:
        """Append after the whole lines that the file has; a torn one is removed. Raises Unavailable if unwritable."""
        try:
            self._file = self._path.open("a+b", buffering=0)
            self._size = _end_of_lines(self._file)
            self._file.truncate(self._size)
        except OSError as error:
            raise Unavailable(f"events cannot be recorded in {self._path}: {error.strerror}") from error

    def append(self, envelope: Envelope) -> None:
        """Record one event; it reaches the file with the next flush."""
        self._last[envelope.source, type(envelope.event)] = envelope.sequence
        if self.dropped:
            self.dropped += 1
            return
        line = self._encoder.encode(envelope) + b"\n"
        if self._size + len(self._pending) + len(line) > self._limits.recording_max:
            self.dropped = 1
            self._pending += self._encoder.encode(self._last_line()) + b"\n"
        else:
            self._pending += line
        if len(self._pending) >= self._limits.recording_flush_bytes:
            self.flush()

    def has(self, source: str, kind: type[AnyEvent], sequence: int) -> bool:
        """Whether the file holds this event, or would, if it took events still. What was appended is flushed for it."""
        if self._last.get((source, kind), 0) < sequence:
            return False
        self.flush()
        return True

    def flush(self) -> None:
        """Hand everything to the operating system. A failing disk costs the recording, never the swarm."""
        if self._file is None or not self._pending:
            return
        try:
            written = self._file.write(self._pending)
        except OSError as error:
            self.problem = (error.strerror or str(error)).lower()
            _logger.warning("events are no longer recorded in %s: %s", self._path, self.problem)
            self.dropped += self._pending.count(b"\n")
            self._pending.clear()
        else:
            self._size += written
            del self._pending[:written]

    def close(self) -> None:
        """Flush and close. Safe to call twice."""
        self.flush()
        if self._file is not None:
            self._file.close()
        self._file = None

    def _last_line(self) -> Envelope:
        event = EventsLost(count=1, reason=f"recording full: {self._limits.recording_max} bytes")
        return Envelope(source="recorder", sequence=1, time_ms=self._clock.wall_ms(), peer="", event=event)


async def record(subscriber: Subscriber, recorder: Recorder, *, limits: BusLimits = BUS) -> None:
    """Write what the subscriber gets until cancelled, at most ``recording_flush`` seconds behind.

    Both must be open. What had come before the cancellation is in the file afterwards.
    """
    loop = asyncio.get_running_loop()
    flush_at = loop.time() + limits.recording_flush
    try:
        while True:
            with contextlib.suppress(DeliveryTimeout):
                recorder.append(await subscriber.receive(limits.recording_flush))
            if loop.time() >= flush_at:
                recorder.flush()
                flush_at = loop.time() + limits.recording_flush
    finally:
        for envelope in subscriber.at_hand():  # it may have rested
            recorder.append(envelope)
        recorder.flush()


def read_recording(path: Path) -> Iterator[Envelope]:
    """The envelopes of a recording, in order.

    A torn last line (the writer died, or is writing) ends it without an error. Raises Unavailable when the file
    cannot be read, and at any other line that is not an envelope, naming it.
    """
    decoder = msgspec.json.Decoder(Envelope)
    try:
        file = path.open("rb")
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
    with file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            yield _decoded(decoder, path, number, line)


def _decoded(decoder: msgspec.json.Decoder[Envelope], path: Path, number: int, line: bytes) -> Envelope:
    try:
        return decoder.decode(line)
    except UNDECODABLE as error:
        raise Unavailable(f"{path}:{number}: not an event: {error}") from None


def _end_of_lines(file: BinaryIO) -> int:
    """Where the last whole line ends."""
    end = file.seek(0, os.SEEK_END)
    start = max(0, end - BUS.max_event)
    file.seek(start)
    tail = file.read(end - start)
    newline = tail.rfind(b"\n")
    return start + newline + 1 if newline >= 0 or start == 0 else end

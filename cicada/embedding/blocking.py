"""Channels for code without an event loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from cicada.actors.mailbox import HostPort
from cicada.embedding.channels import Channel, ChannelMessage
from cicada.errors import DeliveryTimeout, NotBound
from cicada.limits import CHANNEL

T = TypeVar("T")


class Run(Protocol):
    """Runs what keeps to a timeout itself on the loop of the peer, and waits."""

    def __call__(self, work: Coroutine[Any, Any, T], timeout: float | None, /) -> T: ...


class BlockingChannel:
    """A Channel whose verbs block; see there. A context manager, and an iterator of messages."""

    def __init__(self, channel: Channel, run: Run, call: Callable[[Callable[[], None]], None]) -> None:
        self._channel = channel
        self._run = run
        self._call = call

    @property
    def name(self) -> str:
        """What it is called."""
        return self._channel.name

    @property
    def members(self) -> tuple[HostPort, ...]:
        """Who is in the channel, by hearsay; of a large one some."""
        return self._channel.members

    @property
    def missed(self) -> int:
        """Messages that did not come, or for which the application was too slow."""
        return self._channel.missed

    def join(self, timeout: float = 10.0) -> None:
        """Be a member, and return when the channel's tree has a place for this peer, or raise RingNotReady."""
        self._run(self._channel.join(timeout), timeout)

    def leave(self) -> None:
        """Be no member any more. Idempotent."""
        with contextlib.suppress(NotBound):  # the peer has ended
            self._call(self._channel.leave)

    def publish(self, data: bytes | str, timeout: float = 5.0) -> int:
        """Give ``data`` to all other members; returns its number when it is on its way."""
        return self._run(self._channel.publish(data, timeout), timeout)

    def carried(self, timeout: float = CHANNEL.carried) -> None:
        """Returns when a neighbour in the tree has all that was published here, or raises DeliveryTimeout."""
        self._run(self._channel.carried(timeout), timeout)

    def recv(self, timeout: float | None = None) -> ChannelMessage:
        """The next message, or DeliveryTimeout after ``timeout`` seconds (None: never)."""
        return self._run(self._channel.recv(timeout), timeout)

    def __iter__(self) -> Iterator[ChannelMessage]:
        while True:
            try:
                yield self.recv()
            except NotBound:
                return

    def __enter__(self) -> Self:
        try:
            self.join()
        except BaseException:
            self.leave()  # nobody else would
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves, as soon as a neighbour has what was published, or ``CHANNEL.carried`` seconds later; at once when the block was
        interrupted."""
        try:
            if kind is None or issubclass(kind, Exception):
                with contextlib.suppress(DeliveryTimeout, NotBound):
                    self.carried()
        finally:
            self.leave()

    def __repr__(self) -> str:
        return repr(self._channel)

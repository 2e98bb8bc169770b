"""The rules of fetching a file: which chunk from whom next, what counts, who is dropped, when to give up.

Pure: ``handle(input, now)`` returns what to do. Chunks are asked for in their order, of whoever has most room. When none is left
that was not asked for, those that take much longer than others do are asked for once more, of somebody else.
"""

from __future__ import annotations

import heapq
import math
from typing import Final

import msgspec

from cicada.errors import MalformedMessage
from samples.filesharing.chunks import MIB, Bitmap, ChunkList, checked
from samples.filesharing.holders import Fault, Holder, Holders

IN_FLIGHT_BYTES: Final = 24 * MIB  # asked for or not stored yet; six holders with full windows
LISTS: Final = 3  # holders that are asked for the list at once
SEARCH_FIRST_S: Final = 2.0  # between two searches while nobody has it
SEARCH_S: Final = 15.0  # and while somebody has
LATE: Final = 4.0  # times what answers take, and then a chunk may be asked for twice
LATE_LEAST_S: Final = 0.5  # whatever they take


class Found(msgspec.Struct, frozen=True):
    """Input: somebody says that he has the file, or the user says so."""

    holder: str


class ListCame(msgspec.Struct, frozen=True):
    """Input: a holder's list, unchecked, and its name for the file."""

    holder: str
    chunks: ChunkList
    name: str


class Came(msgspec.Struct, frozen=True):
    """Input: what a holder sent as that chunk, unchecked."""

    holder: str
    index: int
    data: bytes


class Failed(msgspec.Struct, frozen=True):
    """Input: a holder did not answer, or refuses, when it was asked for a chunk, or with None for the list."""

    holder: str
    index: int | None
    fault: Fault


class Stored(msgspec.Struct, frozen=True):
    """Input: the chunk is in the file."""

    index: int


class TimerFired(msgspec.Struct, frozen=True):
    """Input: ``next_deadline`` is reached."""


class Search(msgspec.Struct, frozen=True):
    """Output: ask everybody who has it; answered by Found."""


class AskForList(msgspec.Struct, frozen=True):
    """Output: answered by ListCame or Failed."""

    holder: str


class AskFor(msgspec.Struct, frozen=True):
    """Output: answered by Came or Failed."""

    holder: str
    index: int


class Begin(msgspec.Struct, frozen=True):
    """Output: this is the list; make room for the file. Comes before any Store."""

    chunks: ChunkList
    name: str


class Store(msgspec.Struct, frozen=True):
    """Output: a chunk that is right; answered by Stored."""

    index: int
    data: bytes


class Dropped(msgspec.Struct, frozen=True):
    """Output: a holder is asked no more, and gave so many chunks before."""

    holder: str
    fault: Fault
    chunks: int


class Done(msgspec.Struct, frozen=True):
    """Output: all chunks are stored."""


class GaveUp(msgspec.Struct, frozen=True):
    """Output: nobody has given anything for as long as one is patient."""


Input = Found | ListCame | Came | Failed | Stored | TimerFired
Output = Search | AskForList | AskFor | Begin | Store | Dropped | Done | GaveUp


class Fetch:
    """One file being fetched. ``chunks`` and ``have``: what is known from an earlier time. ``patience``: seconds without any right
    answer until it gives up."""

    def __init__(
        self,
        digest: bytes,
        now: float,
        *,
        chunks: ChunkList | None = None,
        have: Bitmap | None = None,
        patience: float = 30.0,
    ) -> None:
        self.chunks = chunks
        self.have = have or Bitmap(chunks.count if chunks else 0)
        self.holders = Holders()
        self.ended = False
        self._digest = digest
        self._patience = patience
        self._gained = now  # when something right came
        self._search_at = now
        self._list_asked: set[str] = set()
        self._fresh = 0  # chunks below it were asked for, or are in ``_again``
        self._again: list[int] = []  # a heap
        self._asked: dict[int, list[str]] = {}
        self._storing: set[int] = set()

    def next_deadline(self) -> float:
        """When TimerFired is due."""
        if self.ended:
            return math.inf
        return min(self._search_at, self._gained + self._patience, self._late_at())

    def handle(self, event: Input, now: float) -> list[Output]:
        """Take an input in; returns what to do, in this order."""
        if self.ended:
            return []
        out: list[Output] = []
        match event:
            case Found(holder):
                if self.holders.found(holder, now):
                    self._search_at = max(self._search_at, now + SEARCH_FIRST_S)
            case ListCame():
                self._list_came(event, now, out)
            case Came():
                self._came(event, now, out)
            case Failed():
                self._failed(event, now, out)
            case Stored(index):
                self._storing.discard(index)
                self.have.add(index)
            case TimerFired():
                pass
        self._go_on(now, out)
        return out

    def _go_on(self, now: float, out: list[Output]) -> None:
        if self.chunks is not None and self.have.complete:
            self.ended = True
            out.append(Done())
        elif now >= self._gained + self._patience:
            self.ended = True
            out.append(GaveUp())
        else:
            self._search(now, out)
            if self.chunks is None:
                self._ask_lists(out)
            else:
                self._ask_chunks(now, out)

    def _search(self, now: float, out: list[Output]) -> None:
        if now >= self._search_at:
            self._search_at = now + (SEARCH_S if len(self.holders) else SEARCH_FIRST_S)
            out.append(Search())

    # The list

    def _ask_lists(self, out: list[Output]) -> None:
        for holder in self.holders:
            if len(self._list_asked) < LISTS and holder.name not in self._list_asked:
                self._list_asked.add(holder.name)
                out.append(AskForList(holder.name))

    def _list_came(self, came: ListCame, now: float, out: list[Output]) -> None:
        self._list_asked.discard(came.holder)
        if self.chunks is not None:
            return
        try:
            self.chunks = checked(came.chunks, self._digest)
        except MalformedMessage:
            self._drop(came.holder, Fault.LIES, now, out)
            return
        self.have = Bitmap(self.chunks.count)
        self._gained = now
        out.append(Begin(self.chunks, came.name))

    # Chunks

    def _came(self, came: Came, now: float, out: list[Output]) -> None:
        holder = self.holders.get(came.holder)
        if self.chunks is None or holder is None or came.index not in holder.asked:
            return
        if not self.chunks.proves(came.index, came.data):
            self._drop(came.holder, Fault.LIES, now, out)
            return
        asked_at = holder.asked.pop(came.index)
        self.holders.took(now - asked_at)
        holder.answered()
        self._gained = now
        if came.index in self._asked:
            self._overtake(came, asked_at, now, out)
            self._storing.add(came.index)
            out.append(Store(came.index, came.data))

    def _overtake(self, came: Came, asked_at: float, now: float, out: list[Output]) -> None:
        """Nobody else's answer is waited for any more, and who was asked before this one is slow."""
        for name in self._asked.pop(came.index):
            other = self.holders.get(name)
            if name == came.holder or other is None:
                continue
            if other.asked.pop(came.index) < asked_at and other.failed():
                self._drop(name, Fault.SLOW, now, out)

    def _failed(self, failed: Failed, now: float, out: list[Output]) -> None:
        holder = self.holders.get(failed.holder)
        if failed.index is None:
            self._list_asked.discard(failed.holder)
            if self.chunks is None:
                self._drop(failed.holder, failed.fault, now, out)
        elif holder is not None and failed.index in holder.asked:
            self._return(holder, failed.index)
            if holder.failed() or failed.fault is not Fault.SILENT:
                self._drop(failed.holder, failed.fault, now, out)

    def _drop(self, name: str, fault: Fault, now: float, out: list[Output]) -> None:
        holder = self.holders.drop(name, fault, now)
        if holder is None:
            return
        out.append(Dropped(name, fault, holder.chunks))
        for index in list(holder.asked):
            self._return(holder, index)
        if not len(self.holders):
            self._search_at = min(self._search_at, now + SEARCH_FIRST_S)

    def _return(self, holder: Holder, index: int) -> None:
        """It is not coming from this one: another is to be asked, if none was."""
        del holder.asked[index]
        others = self._asked.get(index, [])
        if holder.name in others:
            others.remove(holder.name)
            if not others:
                del self._asked[index]
                heapq.heappush(self._again, index)

    def _ask_chunks(self, now: float, out: list[Output]) -> None:
        while self._has_room() and (holder := self.holders.idlest()) is not None:
            index = self._next()
            if index is None:
                self._ask_late(now, out)
                return
            self._ask(holder, index, now, out)

    def _ask_late(self, now: float, out: list[Output]) -> None:
        for index, names in list(self._asked.items()):
            if len(names) == 1 and now >= self._asked_at(index) + self._late():
                other = self.holders.idlest(but=index)
                if other is not None and self._has_room():
                    self._ask(other, index, now, out)

    def _ask(self, holder: Holder, index: int, now: float, out: list[Output]) -> None:
        holder.asked[index] = now
        self._asked.setdefault(index, []).append(holder.name)
        out.append(AskFor(holder.name, index))

    def _has_room(self) -> bool:
        chunks = self.chunks
        waiting = sum(len(holder.asked) for holder in self.holders) + len(self._storing)
        return chunks is not None and (not waiting or (waiting + 1) * chunks.chunk <= IN_FLIGHT_BYTES)

    def _next(self) -> int | None:
        if self._again:
            return heapq.heappop(self._again)
        while self._fresh < self.have.count:
            self._fresh += 1
            if self._fresh - 1 not in self.have:
                return self._fresh - 1
        return None

    def _late(self) -> float:
        return max(LATE_LEAST_S, LATE * self.holders.typical)

    def _asked_at(self, index: int) -> float:
        holder = self.holders.get(self._asked[index][0])
        return math.inf if holder is None else holder.asked[index]

    def _late_at(self) -> float:
        """When the next chunk may be asked for twice; never while there are others to ask for, or nobody to ask."""
        if self._again or self._fresh < self.have.count or not self._has_room():
            return math.inf
        once = (index for index, names in self._asked.items() if len(names) == 1)
        dues = (self._asked_at(index) for index in once if self.holders.idlest(but=index) is not None)
        return min(dues, default=math.inf) + self._late()

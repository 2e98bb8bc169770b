"""Which messages of a channel came, so that none is taken twice, and the latest of them, for neighbours that lack some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from cicada.limits import ChannelLimits
from cicada.services.channelsorder import Line
from cicada.wire.channels import Post, Span


class Seen:
    """A set of numbers from 1: all up to a floor, and some above it."""

    __slots__ = ("_above", "_window", "floor")

    def __init__(self, window: int) -> None:
        self._window = window
        self._above: set[int] = set()
        self.floor = 0

    def __contains__(self, number: int) -> bool:
        return number <= self.floor or number in self._above

    def add(self, number: int) -> None:
        """One more. Where too many are missing, the oldest of them count as if they had come."""
        if number <= self.floor:
            return
        self._above.add(number)
        self._close()
        if len(self._above) > self._window:
            self.floor = min(self._above) - 1
            self._close()

    def _close(self) -> None:
        while self.floor + 1 in self._above:
            self.floor += 1
            self._above.discard(self.floor)


class Life:
    """One membership of an origin whose key is ``peer_id``; ``until`` then nobody takes a message of it again that was taken."""

    __slots__ = ("boot", "line", "origin", "peer_id", "seen", "until")

    def __init__(self, peer_id: str, origin: str, boot: int, limits: ChannelLimits) -> None:
        self.peer_id = peer_id
        self.boot = boot
        self.origin = origin
        self.seen = Seen(limits.window)
        self.line = Line(limits)
        self.until = 0.0

    @property
    def holder(self) -> str:
        """Whose share of the tables it uses."""
        return self.peer_id or self.origin


class Kept:
    """A message that is kept. ``born_at``: when it was published, as far as that is known here."""

    __slots__ = ("born_at", "entered_at", "life", "post")

    def __init__(self, post: Post, life: bytes, entered_at: float, oldest: float) -> None:
        self.post = post
        self.life = life
        self.entered_at = entered_at
        self.born_at = entered_at - min(post.age_ms / 1000, oldest)

    def aged(self, now: float) -> Post:
        """As it is passed on now."""
        return replace(self.post, age_ms=max(int((now - self.born_at) * 1000), 0))


class Log:
    """Bounded in number, bytes and age. When there is too much, the oldest of the origin that has most goes: nobody can push
    out what others said by saying more."""

    def __init__(self, limits: ChannelLimits) -> None:
        self._limits = limits
        self._lives: dict[bytes, Life] = {}
        self._lives_of: Counter[str] = Counter()
        # Memberships of a holder up to this boot are over, and nothing of them is taken; so long that matters.
        self._over: dict[str, tuple[int, float]] = {}
        self._kept: dict[tuple[bytes, int], Kept] = {}
        self._of: dict[str, dict[tuple[bytes, int], int]] = {}  # sizes, by holder
        self._bytes: Counter[str] = Counter()
        self.total_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def lives(self) -> int:
        """How many memberships are remembered."""
        return len(self._lives)

    def life(self, id: bytes) -> Life | None:
        """The membership, if it is remembered."""
        return self._lives.get(id)

    def forget_order(self) -> None:
        """Nobody is told messages any more: what comes when somebody is again follows nothing that was told before."""
        for life in self._lives.values():
            life.line = Line(self._limits)

    def has(self, life: bytes, number: int) -> bool:
        """Whether it came, or may have come."""
        known = self._lives.get(life)
        return known is not None and number in known.seen

    def room_for(self, id: bytes, peer_id: str, origin: str, boot: int, now: float) -> Life | None:
        """The membership; a new one, if there is room, else None. Of too many of one holder the first one makes way: a peer has
        one at a time, so that one is over."""
        known = self._lives.get(id)
        if known is not None:
            return known
        life = Life(peer_id, origin, boot, self._limits)
        if boot <= self._over.get(life.holder, (0, 0.0))[0]:
            return None
        if self._lives_of[life.holder] >= self._limits.key_lives or len(self._lives) >= self._limits.lives:
            self._forget(now)
        if self._lives_of[life.holder] >= self._limits.key_lives:
            self._end_first(life)
        if self._lives_of[life.holder] >= self._limits.key_lives or len(self._lives) >= self._limits.lives:
            return None
        self._lives[id] = life
        self._lives_of[life.holder] += 1
        return life

    def add(self, post: Post, id: bytes, until: float, now: float) -> Kept:
        """Enter a message of a membership that there was room for. ``until``: nobody takes it after that."""
        life = self._lives[id]
        life.seen.add(post.number)
        life.until = max(life.until, until)
        kept = Kept(post, id, now, self._limits.seconds)
        key = (id, post.number)
        self._kept[key] = kept
        self._of.setdefault(life.holder, {})[key] = len(post.payload)
        self._bytes[life.holder] += len(post.payload)
        self.total_bytes += len(post.payload)
        self.expire(now)
        return kept

    def expire(self, now: float) -> None:
        """Give up what is too old, and of what is too much the oldest of whoever has most."""
        while self._kept:
            key, oldest = next(iter(self._kept.items()))
            if now - oldest.entered_at <= self._limits.log_seconds:
                break
            self._drop(key)
        while self.total_bytes > self._limits.log_bytes:
            self._drop(next(iter(self._of[max(self._bytes, key=self._bytes.__getitem__)])))
        while len(self._kept) > self._limits.log_messages:
            self._drop(next(iter(self._of[max(self._of, key=lambda holder: len(self._of[holder]))])))

    # Summaries

    def spans(self) -> tuple[Span, ...]:
        """What is kept, the latest if that is too much for one summary."""
        numbers: dict[bytes, list[int]] = {}
        for life, number in reversed(self._kept):
            numbers.setdefault(life, []).append(number)
        found: list[Span] = []
        for life, some in numbers.items():
            found += _spans(life, sorted(some))
        return tuple(found[: self._limits.spans])

    def lacking(self, spans: Iterable[Span]) -> tuple[Span, ...]:
        """What is in ``spans`` and never came."""
        budget = self._limits.wanted
        found: list[Span] = []
        for span in spans:
            life = self._lives.get(span.life)
            first = max(span.first, span.last - self._limits.window + 1, 1 + (life.seen.floor if life else 0))
            first = max(first, span.last - budget + 1)
            budget -= max(span.last - first + 1, 0)
            missing = [n for n in range(first, span.last + 1) if life is None or n not in life.seen]
            found += _spans(span.life, missing)
        return tuple(found[: self._limits.spans])

    def beyond(self, spans: Iterable[Span]) -> Iterator[Kept]:
        """What is kept and not in ``spans``, in the order in which it came."""
        theirs = _by_life(spans)
        for (life, number), kept in list(self._kept.items()):
            if not any(first <= number <= last for first, last in theirs.get(life, ())):
                yield kept

    def within(self, spans: Iterable[Span]) -> Iterator[Kept]:
        """What is kept and in ``spans``, in the order in which it came."""
        theirs = _by_life(spans)
        for (life, number), kept in list(self._kept.items()):
            if any(first <= number <= last for first, last in theirs.get(life, ())):
                yield kept

    # Making room

    def _drop(self, key: tuple[bytes, int]) -> None:
        del self._kept[key]
        holder = self._lives[key[0]].holder
        size = self._of[holder].pop(key)
        self._bytes[holder] -= size
        self.total_bytes -= size
        if not self._of[holder]:
            del self._of[holder], self._bytes[holder]

    def _end_first(self, newcomer: Life) -> None:
        """Of the memberships of its holder, when the newcomer is later than that one."""
        own = [(id, life) for id, life in self._lives.items() if life.holder == newcomer.holder]
        id, first = min(own, key=lambda item: item[1].boot)
        over = self._over.get(first.holder)
        if first.boot >= newcomer.boot or (over is None and len(self._over) >= self._limits.lives):
            return
        for key in [key for key in self._kept if key[0] == id]:
            self._drop(key)
        self._over[first.holder] = (first.boot, max(first.until, 0.0 if over is None else over[1]))
        self._remove(id, first)

    def _remove(self, id: bytes, life: Life) -> None:
        del self._lives[id]
        self._lives_of[life.holder] -= 1
        if not self._lives_of[life.holder]:
            del self._lives_of[life.holder]

    def _forget(self, now: float) -> None:
        """Memberships of which no message can be taken any more, nor is kept."""
        kept = {life for life, _ in self._kept}
        for id, life in list(self._lives.items()):
            if life.until <= now and id not in kept and not len(life.line):
                self._remove(id, life)
        for holder in [holder for holder, (_, until) in self._over.items() if until <= now]:
            del self._over[holder]


def _spans(life: bytes, numbers: list[int]) -> list[Span]:
    """Rising numbers as few spans."""
    found: list[Span] = []
    start = 0
    for index, number in enumerate(numbers):
        if index + 1 == len(numbers) or numbers[index + 1] != number + 1:
            found.append(Span(life, numbers[start], number))
            start = index + 1
    return found


def _by_life(spans: Iterable[Span]) -> dict[bytes, list[tuple[int, int]]]:
    found: dict[bytes, list[tuple[int, int]]] = {}
    for span in spans:
        found.setdefault(span.life, []).append((span.first, span.last))
    return found

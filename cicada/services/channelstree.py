"""One peer's place in a channel's tree: its parent, its children, and whether it is the root.

A peer that looks for a parent asks the owner of the channel's place, who takes it or names its children; so it goes down the
tree until one has room. All is soft: a child asks anew every few seconds, and who is silent for three times that is gone. A
parent tells its children the way from the root; whoever finds itself on that way is in a circle and looks anew.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from random import Random

from cicada.hosts import HostOf
from cicada.ids import Address, Peer, Place
from cicada.limits import ChannelLimits
from cicada.services.channelsguard import Guard
from cicada.services.channelsio import Connected
from cicada.services.channelsoutbox import Outbox
from cicada.services.channelsowner import Ownership
from cicada.services.channelsroster import Report, Roster
from cicada.services.channelssearch import Search
from cicada.wire.channels import Attach, Attached, Detach, Redirected, Span

Summary = Callable[[float], tuple[Span, ...]]
"""Which messages are kept, now."""


class Role(enum.Enum):
    """What a peer is in a tree."""

    NONE = "none"
    SEEKING = "seeking"
    CHILD = "child"
    ROOT = "root"


class Neighbour:
    """A parent or child. ``told``: what it was told of the members beyond this peer, None: not yet."""

    __slots__ = ("heard_at", "peer", "told")

    def __init__(self, peer: Peer, now: float) -> None:
        self.peer = peer
        self.heard_at = now
        self.told: Report | None = None


class Tree:
    """``path``: from the root to this peer, both included; empty while there is no way to a root."""

    def __init__(
        self,
        channel: str,
        place: Place,
        own: Peer,
        limits: ChannelLimits,
        rng: Random,
        outbox: Outbox,
        guard: Guard,
        roster: Roster,
        summary: Summary,
        host_of: HostOf,
    ) -> None:
        self._channel = channel
        self._own = own
        self._limits = limits
        self._rng = rng
        self._outbox = outbox
        self._guard = guard
        self._roster = roster
        self._summary = summary
        self._host_of = host_of
        self._search = Search(own, limits, rng)
        self._ring = Ownership(channel, place, own, limits, outbox, guard, host_of)
        self._refresh_at = 0.0
        self._push_at: float | None = None
        self._rootless_since: float | None = None
        self._silent: Address | None = (
            None  # an owner of the place that took the last question and did not answer it
        )
        self._silences = 0  # of that one, in a row
        self.role = Role.NONE
        self.parent: Neighbour | None = None
        self.children: dict[Address, Neighbour] = {}
        self.path: tuple[str, ...] = ()
        self.since = 0.0
        """Since when ``parent`` is the parent, or this peer the root."""

    # Questions

    @property
    def is_needed(self) -> bool:
        """Whether anybody but the application needs it."""
        return bool(self.children) or self._ring.is_needed

    def is_neighbour(self, address: str) -> bool:
        """Whether messages are exchanged with this peer."""
        return address in self.children or (self.parent is not None and self.parent.peer.address == address)

    def is_asked(self, address: str) -> bool:
        """Whether it may become the parent: what it fills in may come before its answer."""
        return self._search.asked is not None and self._search.asked.address == address

    def neighbours(self) -> list[Peer]:
        """The parent and the children."""
        return [neighbour.peer for neighbour in self._all()]

    def next_deadline(self) -> float | None:
        """When ``expire`` has something to do."""
        found = [self._ring.next_deadline(), self._push_at, self._search.next_deadline()]
        if self.role in (Role.CHILD, Role.ROOT):
            found.append(self._refresh_at)
        if self._rootless_since is not None:
            found.append(self._rootless_since + self._limits.lease)
        found += [neighbour.heard_at + self._limits.lease for neighbour in self._all()]
        return min((at for at in found if at is not None), default=None)

    # The application

    def join(self, now: float) -> None:
        """A parent is needed."""
        self._roster.is_member = True
        self.news(now)
        if self.role is Role.NONE:
            self._seek(now)
        elif self.path:  # it has served others here, as the root perhaps
            self._outbox.tell(Connected(self._channel, len(self.path) - 1))

    def leave(self, now: float) -> None:
        """No parent is needed. The root stays what it is while it has children."""
        self._roster.is_member = False
        self.news(now)
        if self.role is not Role.ROOT:
            above = () if self.parent is None else (self.parent.peer.address,)
            self._end(above, now)

    def abandon(self, now: float, *hints: str) -> None:
        """Leave the parent, and look for another one; these first."""
        if self.parent is not None:
            self.detach(self.parent.peer)
            self._lose_parent(now, *hints)

    def news(self, now: float) -> None:
        """Neighbours are to be told of members, once there may be more to tell."""
        if self._push_at is None:
            self._push_at = now + self._limits.push

    # From others

    def on_attach(self, peer: Peer, message: Attach, now: float) -> bool | None:
        """Somebody wants to be, or remain, a child. Whether it is a new one; None: it is none, or has to wait."""
        child = self.children.get(peer.address)
        if message.is_root and self.role is not Role.ROOT:
            if not self.path or not message.attempt:
                to = self._ring.wait(peer, message, now)
                if to is not None:
                    self._redirect(peer, to)
                return None
            # Whoever comes again does not get in where it takes the root to be: it may come in here.
            self._ring.ask_again(now)
        if not self._accepts(peer, message, is_known=child is not None):
            self._remove(peer, now)
            self._redirect(peer)
            return None
        if child is None:
            self.children[peer.address] = Neighbour(peer, now)
        else:
            child.heard_at = now
        self._hear(peer, message.count, message.members, now)
        return child is None

    def taken(self, peer: Peer) -> None:
        """What was sent to a peer came there."""
        if self.is_asked(peer.address):
            self._search.is_taken = True

    def confirm(self, peer: Peer, now: float, *, is_new: bool, is_more: bool) -> None:
        """Tell a child that it is one."""
        child = self.children.get(peer.address)
        if child is not None:
            self._tell(child, now, is_new=is_new, is_more=is_more)

    def on_attached(self, peer: Peer, message: Attached, now: float) -> None:
        """The parent, or who was asked to be, says that it is."""
        self._note_answer(peer)
        was_asked = self.is_asked(peer.address)
        if was_asked:
            self._gain_parent(peer, now)
        elif self.parent is None or self.parent.peer.address != peer.address:
            self._outbox.say(peer, Detach(channel=self._channel))
            return
        if self._own.address in message.path or len(message.path) >= self._limits.depth:
            self.abandon(now)
            return
        parent = self.parent
        if parent is None:
            return
        parent.heard_at = now
        if message.is_new and not was_asked:  # it had forgotten this child, and does not know its members
            self._refresh_at = min(self._refresh_at, now + self._limits.push)
            parent.told = None
        if message.is_more:
            self._refresh_at = min(self._refresh_at, now + self._limits.repair)
        self._hear(peer, message.count, message.members, now)
        self._set_path((*message.path, self._own.address) if message.path else (), now)

    def on_redirected(self, peer: Peer, message: Redirected, now: float) -> None:
        """Whoever was asked, or the parent, names others."""
        self._note_answer(peer)
        if self.is_asked(peer.address):
            self._search.add(self._trusted(message.to, now))
            self._advance(now)
        elif self.parent is not None and self.parent.peer.address == peer.address:
            self._lose_parent(now, *self._trusted(message.to, now))

    def lose(self, peer: Peer, now: float) -> None:
        """A peer said that it is no neighbour, or cannot be reached."""
        self._remove(peer, now)
        if self.parent is not None and self.parent.peer == peer:
            above = self.path[-3:-2]
            self._lose_parent(now, *above)
        elif self.is_asked(peer.address):
            self._advance(now)

    def found(self, owners: tuple[Peer, ...], now: float) -> list[tuple[Peer, Attach]]:
        """The ring says who owns the place. Returns who wanted to be a child and is to be heard now."""
        is_free = self.role in (Role.NONE, Role.ROOT)
        owner, askers = self._ring.answer(owners, now, is_free=is_free)
        if owner == self._own:
            self._ring.owner = self._own.address
            self._become_root(now)
            return askers
        for peer, _ in askers:
            self._redirect(peer, () if owner is None else (owner.address,))
        if owner is not None:
            self._follow(owner, now)
        elif self.role is Role.SEEKING and self._search.asked is None:
            self._search.fail(now)
        return []

    def expire(self, now: float) -> None:
        """Do what is due."""
        limits = self._limits
        if self._ring.is_overdue(now):
            self.found((), now)
        for child in list(self.children.values()):
            if child.heard_at + limits.lease <= now:
                self.detach(child.peer)
                self._remove(child.peer, now)
        if self.parent is not None and self.parent.heard_at + limits.lease <= now:
            self.lose(self.parent.peer, now)
        if self._rootless_since is not None and self._rootless_since + limits.lease <= now:
            self.abandon(now)
        self._ring.expire(now)
        self._go_on(now)

    def detach(self, peer: Peer) -> None:
        """Tell a peer that it is no neighbour; if it wants to be, it attaches anew, and what it lacks is filled in."""
        self._outbox.say(peer, Detach(channel=self._channel))

    def drop_child(self, peer: Peer, now: float) -> None:
        """End it with a neighbour that could not take what was sent."""
        self.detach(peer)
        self.lose(peer, now)

    # Search

    def _note_answer(self, peer: Peer) -> None:
        if peer.address == self._silent:
            self._silent, self._silences = None, 0

    def _note_silence(self, asked: Peer, now: float) -> None:
        """An owner of the place that takes questions and answers none is passed over, as one is that withholds messages. Who
        cannot be reached is not: it may be dead, and the ring will say so."""
        if asked.address != self._ring.owner or not self._search.is_taken:
            return
        self._silences = self._silences + 1 if asked.address == self._silent else 1
        self._silent = asked.address
        if self._silences >= self._limits.silences:
            self._note_answer(asked)
            self._guard.blame(asked, "channel-silent", now)

    def _go_on(self, now: float) -> None:
        if self.role is Role.SEEKING:
            if self._search.asked is not None and self._search.asked_until <= now:
                self._note_silence(self._search.asked, now)
                self._advance(now)
            elif self._search.retry_at is not None and self._search.retry_at <= now:
                self._seek(now)
        elif self.role is not Role.NONE and self._refresh_at <= now:
            self._refresh(now)
        if self._push_at is not None and self._push_at <= now:
            self._push(now)

    def _seek(self, now: float, *hints: str, owner: Address | None = None) -> None:
        self.role = Role.SEEKING
        self._rootless_since = None
        self._ring.owner = owner
        self._search.begin()
        self._search.add(hints)
        self._advance(now)

    def _advance(self, now: float) -> None:
        """Ask the next candidate; then the root, once; then wait."""
        candidate = self._search.next(now)
        if candidate is not None:
            if not self._attach(candidate, now, is_root=candidate.address == self._ring.owner):
                self._advance(now)
        elif self._ring.owner is None:
            self._ring.ask(now)
        else:
            self._search.fail(now)

    def _follow(self, owner: Peer, now: float) -> None:
        self._ring.owner = owner.address
        if self.role is Role.ROOT:
            self._hand_over(owner, now)
        elif self.role is Role.SEEKING:
            self._search.add(self._trusted((owner.address,), now))
            if self._search.asked is None:
                self._advance(now)

    def _hand_over(self, owner: Peer, now: float) -> None:
        """The place has another owner: the tree goes below it, whole if this peer is a member."""
        if not self._roster.is_member:
            self._end((owner.address,), now)
            return
        self._set_path((), now)
        self._seek(now, *self._trusted((owner.address,), now), owner=owner.address)

    def _become_root(self, now: float) -> None:
        if self.role is Role.ROOT:
            return
        if self.parent is not None:
            self.detach(self.parent.peer)
            self._remove_parent(now)
        self._search.succeed()
        self.role = Role.ROOT
        self.since = now
        self._refresh_at = now + self._jittered(self._limits.refresh)
        self._set_path((self._own.address,), now)

    # Parent

    def _attach(self, peer: Peer, now: float, *, is_root: bool = False) -> bool:
        report = self._roster.for_neighbour(peer.address)
        parent = self.parent
        is_told = parent is not None and parent.told == report
        message = Attach(
            channel=self._channel,
            is_root=is_root,
            attempt=self._search.attempt,
            count=report.total,
            members=None if is_told else report.names,
            spans=self._summary(now),
        )
        if parent is not None:
            parent.told = report
        return self._outbox.send(peer, message, now)

    def _gain_parent(self, peer: Peer, now: float) -> None:
        self._search.succeed()
        self.parent = Neighbour(peer, now)
        self.since = now
        self.parent.told = self._roster.for_neighbour(peer.address)
        self.role = Role.CHILD
        self._refresh_at = now + self._jittered(self._limits.refresh)

    def _lose_parent(self, now: float, *hints: str) -> None:
        self._remove_parent(now)
        self._set_path((), now)
        self._seek(now, *hints)

    def _remove_parent(self, now: float) -> None:
        if self.parent is not None:
            self._roster.remove(self.parent.peer.address)
            self.parent = None
            self.news(now)

    def _refresh(self, now: float) -> None:
        self._refresh_at = now + self._jittered(self._limits.refresh)
        if self.role is Role.ROOT:
            self._ring.ask(now)
        elif self.parent is not None and not self._attach(self.parent.peer, now):
            self.lose(self.parent.peer, now)

    # Children

    def _accepts(self, peer: Peer, message: Attach, *, is_known: bool) -> bool:
        if peer.address in self.path or peer == self._own:
            return False
        if is_known:
            return True
        if not self.path or len(self.path) >= self._limits.depth:
            return False
        room = self._limits.children
        if message.attempt >= self._limits.spare_attempt:
            room += self._limits.spare_children
        host = self._host_of(peer.address)
        of_host = sum(self._host_of(address) == host for address in self.children)
        return len(self.children) < room and of_host < self._limits.children_of_host

    def _redirect(self, peer: Peer, to: tuple[str, ...] | None = None) -> None:
        if to is None:
            others = [address for address in self.children if address != peer.address] if self.path else []
            to = tuple(self._rng.sample(others, min(len(others), self._limits.redirects)))
        self._outbox.say(peer, Redirected(channel=self._channel, to=to))

    def _remove(self, peer: Peer, now: float) -> None:
        if self.children.pop(peer.address, None) is not None:
            self._roster.remove(peer.address)
            self.news(now)

    def _end(self, to: tuple[str, ...], now: float) -> None:
        """No part of the tree any more: children go to others."""
        for child in list(self.children.values()):
            self._redirect(child.peer, to)
            self._remove(child.peer, now)
        if self.parent is not None:
            self.detach(self.parent.peer)
            self._remove_parent(now)
        self._search.begin()
        self._rootless_since = self._push_at = None
        self.role, self.path = Role.NONE, ()

    # News

    def _hear(self, peer: Peer, count: int, members: tuple[str, ...] | None, now: float) -> None:
        if self._roster.report(peer.address, count, members):
            self.news(now)

    def _tell(self, child: Neighbour, now: float, *, is_new: bool = False, is_more: bool = False) -> None:
        report = self._roster.for_neighbour(child.peer.address)
        message = Attached(
            channel=self._channel,
            path=self.path,
            count=report.total,
            members=None if child.told == report and not is_new else report.names,
            is_new=is_new,
            is_more=is_more,
        )
        child.told = report
        if not self._outbox.send(child.peer, message, now):
            self._remove(child.peer, now)

    def _push(self, now: float) -> None:
        self._push_at = None
        for child in list(self.children.values()):
            if child.told != self._roster.for_neighbour(child.peer.address):
                self._tell(child, now)
        parent = self.parent
        if parent is not None and parent.told != self._roster.for_neighbour(parent.peer.address):
            self._refresh(now)

    def _set_path(self, path: tuple[str, ...], now: float) -> None:
        is_child = self.role is Role.CHILD
        if not path and is_child and self._rootless_since is None:
            self._rootless_since = now
        elif path or not is_child:
            self._rootless_since = None
        if path == self.path:
            return
        if self._roster.is_member and len(path) != len(self.path):
            self._outbox.tell(Connected(self._channel, len(path) - 1 if path else None))
        self.path = path
        for child in list(self.children.values()):
            self._tell(child, now)

    def _all(self) -> Iterator[Neighbour]:
        if self.parent is not None:
            yield self.parent
        yield from self.children.values()

    def _trusted(self, names: tuple[str, ...], now: float) -> tuple[str, ...]:
        return tuple(name for name in names if not self._guard.is_banned(name, now))

    def _jittered(self, seconds: float) -> float:
        return seconds * self._rng.uniform(0.8, 1.2)

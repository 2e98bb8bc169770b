"""One channel at one peer: its place in the tree, the messages that pass, and whom it compares with."""

from __future__ import annotations

from random import Random

from cicada.hosts import HostOf
from cicada.ids import Address, Peer, peer_at
from cicada.limits import ChannelLimits
from cicada.services.channelsguard import Guard
from cicada.services.channelslog import Kept
from cicada.services.channelsoutbox import Outbox, Own
from cicada.services.channelsposts import Outcome, Posts
from cicada.services.channelsroster import Roster
from cicada.services.channelssigned import Signing, place_of_channel
from cicada.services.channelssuspicion import Suspicion
from cicada.services.channelstree import Role, Tree
from cicada.wire.channels import (
    Attach,
    Attached,
    ChannelMessage,
    Compare,
    Detach,
    Post,
    Redirected,
    Span,
    Want,
)


class ChannelNode:
    """``sponsor``: on whose word it exists; empty: the application joined it."""

    def __init__(
        self,
        channel: str,
        own: Peer,
        signing: Signing,
        limits: ChannelLimits,
        rng: Random,
        outbox: Outbox,
        guard: Guard,
        host_of: HostOf,
        sponsor: str,
    ) -> None:
        self._channel = channel
        self._own = own
        self._limits = limits
        self._rng = rng
        self._outbox = outbox
        self._guard = guard
        self._asked: dict[Address, float] = {}  # from whom messages are taken though it is no neighbour
        self._compare_at: float | None = None
        self._repair_at: float | None = None
        self._repairs = 0
        self._suspicion = Suspicion(limits)
        self.sponsor = sponsor
        self.roster = Roster(channel, own.address, limits)
        self.posts = Posts(channel, own, signing, limits, outbox, guard)
        self.tree = Tree(
            channel,
            place_of_channel(channel),
            own,
            limits,
            rng,
            outbox,
            guard,
            self.roster,
            self._summary,
            host_of,
        )

    @property
    def is_joined(self) -> bool:
        """Whether this peer's application is a member."""
        return self.roster.is_member

    @property
    def is_needed(self) -> bool:
        """Whether anybody needs it."""
        return self.is_joined or self.tree.is_needed

    # The application

    def join(self, boot: int, now: float) -> None:
        """Be a member."""
        self.posts.join(boot, now)
        self._enter(now)

    def go_on_from(self, before: Posts, now: float) -> None:
        """Be the member that this peer was at another address."""
        self.posts.go_on_from(before)
        self._enter(now)

    def leave(self, now: float) -> None:
        """Be none."""
        self.posts.leave()
        self.tree.leave(now)
        self._compare_at = self._repair_at = None

    def publish(self, payload: bytes, now: float) -> None:
        """Give a payload to all other members."""
        kept = self.posts.publish(payload, now)
        if kept is not None:
            self._pass_on(kept, None, now)
            self._note_alone(now)

    # Others

    def receive(self, peer: Peer, message: ChannelMessage, now: float) -> None:
        """Something came from a peer."""
        match message:
            case Post():
                self._on_post(peer, message, now)
            case Attach():
                self._on_attach(peer, message, now)
            case Attached():
                self.tree.on_attached(peer, message, now)
            case Redirected():
                self.tree.on_redirected(peer, message, now)
            case Detach():
                self.tree.lose(peer, now)
            case Compare(spans=spans):
                self._note_asked(peer, now)
                self.posts.fill(peer, spans, now, settled=self._limits.push)
            case Want(spans=spans):
                self.posts.serve(peer, spans, now)
        self._look_after(now)

    def taken(self, peer: Peer, own: Own | None) -> None:
        """Something came to a peer; what of this peer's application was in it."""
        self.tree.taken(peer)
        if own is not None:
            self.posts.carried(own)

    def failed(self, peer: Peer, now: float) -> None:
        """Something did not reach a peer: if it lives, it is to attach anew, and lacks nothing then."""
        if peer.address in self.tree.children:
            self.tree.drop_child(peer, now)
        else:
            self.tree.lose(peer, now)
        self._look_after(now)

    def found(self, owners: tuple[Peer, ...], now: float) -> None:
        """The ring said who owns the channel's place."""
        for peer, message in self.tree.found(owners, now):
            self._on_attach(peer, message, now)

    def expire(self, now: float) -> None:
        """Do what is due."""
        self.posts.expire(now)
        self.tree.expire(now)
        self._note_alone(now)
        if self._compare_at is not None and self._compare_at <= now:
            self._compare_at = now + self._jittered(self._limits.compare)
            self._compare(now, 1)
        if self._repair_at is not None and self._repair_at <= now:
            self._repair(now)
        for address in [address for address, until in self._asked.items() if until <= now]:
            del self._asked[address]
        self._look_after(now)

    def next_deadline(self) -> float | None:
        """When ``expire`` has something to do."""
        found = (
            self.tree.next_deadline(),
            self.posts.next_deadline(),
            self.roster.next_deadline() if self.is_joined else None,
            self._compare_at,
            self._repair_at,
        )
        return min((at for at in found if at is not None), default=None)

    def _enter(self, now: float) -> None:
        self.tree.join(now)
        self._compare_at = now + self._jittered(self._limits.compare)
        self._tell_presence(now)

    # Messages of the channel

    def _on_post(self, peer: Peer, post: Post, now: float) -> None:
        is_neighbour = self.tree.is_neighbour(peer.address)
        if not (is_neighbour or self.tree.is_asked(peer.address) or self._asked.get(peer.address, 0.0) > now):
            self._outbox.drop("channel-stranger", self._channel)
            self.tree.detach(peer)
            return
        took = self.posts.take(post, peer, now)
        if took.outcome is Outcome.FORGED:
            self._guard.blame(peer, "channel-signature", now)
            self._part_with(peer, now)
        elif took.kept is not None:
            self._pass_on(took.kept, peer, now)
            if not is_neighbour:
                self._suspect_parent(took.kept, now)

    def _pass_on(self, kept: Kept, sender: Peer | None, now: float) -> None:
        post = kept.aged(now)
        for neighbour in self.tree.neighbours():
            is_wanted = neighbour != sender and neighbour.address != post.origin
            if is_wanted and not self._outbox.send(neighbour, post, now, self.posts.own(kept)):
                self._outbox.drop("channel-slow", self._channel)
                self.failed(neighbour, now)

    def _note_alone(self, now: float) -> None:
        """Where nobody else is, nobody is to have what was published. A root that has just become one cannot know: the one before
        it attaches with all the others when it has asked the ring."""
        if (
            self.tree.role is Role.ROOT
            and self.roster.is_alone
            and now - self.tree.since >= self._limits.lease
        ):
            self.posts.all_carried()

    def _part_with(self, peer: Peer, now: float) -> None:
        self._asked.pop(peer.address, None)
        if self.tree.is_neighbour(peer.address):
            self.tree.drop_child(peer, now)

    def _on_attach(self, peer: Peer, message: Attach, now: float) -> None:
        is_new = self.tree.on_attach(peer, message, now)
        if is_new is None:
            return
        settled = 0.0 if is_new else self._limits.push
        is_more = self.posts.fill(peer, message.spans, now, settled=settled)
        self.tree.confirm(peer, now, is_new=is_new, is_more=is_more)

    def _summary(self, now: float) -> tuple[Span, ...]:
        self.posts.log.expire(now)
        return self.posts.log.spans()

    # What others do not bring

    def _compare(self, now: float, number: int) -> None:
        """Compare with members that are no neighbours: what the tree withholds does not remain unknown."""
        members = [*self.roster.view().names, *self.tree.path]
        others = [name for name in dict.fromkeys(members) if self._is_foreign(name, now)]
        for name in self._rng.sample(others, min(len(others), number)):
            peer = peer_at(Address(name))
            self._note_asked(peer, now)
            self._outbox.say(peer, Compare(channel=self._channel, spans=self._summary(now)))

    def _is_foreign(self, name: str, now: float) -> bool:
        is_known = name == self._own.address or self.tree.is_neighbour(name)
        return not is_known and not self._guard.is_banned(name, now)

    def _note_asked(self, peer: Peer, now: float) -> None:
        self._asked.pop(peer.address, None)
        self._asked[peer.address] = now + self._limits.asked
        if len(self._asked) > self._limits.askers:
            del self._asked[next(iter(self._asked))]

    def _repair(self, now: float) -> None:
        """Something is missing before what came: ask above, and others."""
        self._repairs += 1
        self._repair_at = now + self._limits.repair * 2 ** min(self._repairs, 4)
        parent = self.tree.parent
        if parent is not None:
            self._outbox.say(parent.peer, Compare(channel=self._channel, spans=self._summary(now)))
        self._compare(now, self._limits.repairers)

    def _suspect_parent(self, kept: Kept, now: float) -> None:
        """The parent should have brought this, or what is above it."""
        late = now - kept.born_at
        if self.tree.role is not Role.CHILD or late < self._limits.withheld:
            return
        if self.tree.since + self._limits.withheld > kept.born_at:
            return
        if self._compare_at is not None:
            self._compare_at = min(self._compare_at, now + self._limits.compare_soon)
        if self._suspicion.strike(now):
            self._move(now)

    def _move(self, now: float) -> None:
        """Look for another way to the root; and, when the root itself is the parent again and again, for another root."""
        parent = self.tree.parent
        if parent is None:
            return
        if len(self.tree.path) > 2:
            self.tree.abandon(now)
        elif self._suspicion.is_lasting:
            self._guard.ban(parent.peer, now)
            self.tree.abandon(now)

    def _look_after(self, now: float) -> None:
        if not self.posts.has_gap:
            self._repair_at, self._repairs = None, 0
        elif self._repair_at is None:
            self._repair_at = now + self._limits.repair
        self._tell_presence(now)

    def _tell_presence(self, now: float) -> None:
        news = self.roster.news(now)
        if news is not None:
            self._outbox.tell(news)

    def _jittered(self, seconds: float) -> float:
        return seconds * self._rng.uniform(0.8, 1.2)

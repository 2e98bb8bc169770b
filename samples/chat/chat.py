"""The messenger's rules: what is typed and what is heard go in, what is to be done comes out, and what is shown lies here.

A name is shown as its own only when the directory says that it belongs to the peer whose key signed the message, or sealed it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from random import Random

from cicada.errors import MalformedMessage
from samples.chat.commands import (
    VERBS,
    ConnectTo,
    JoinChannel,
    Mistake,
    Nothing,
    PartChannel,
    Plain,
    Say,
    Tell,
    parse,
)
from samples.chat.conversations import HOME, Conversations, Kind, Line
from samples.chat.io import (
    Began,
    Chosen,
    Close,
    Connect,
    Connected,
    Direct,
    Enter,
    Entered,
    Exit,
    Found,
    FromChannel,
    Input,
    LookUp,
    Named,
    Output,
    Publish,
    Register,
    Settled,
    TellStats,
    Ticked,
    Told,
    Turned,
    Typed,
    Where,
    Whisper,
)
from samples.chat.limits import LIMITS, NAME, ChatLimits
from samples.chat.names import Names, Standing
from samples.chat.roster import Member, Roster
from samples.chat.text import clean, short
from samples.chat.whispers import Whispers
from samples.chat.wire import Announce, Farewell, Said, Whispered, decode_in_channel


class Chat:
    """One user's messenger. ``name``: what the user is called, ``own``: its peer id, once it is registered. What was not taken is
    counted in ``dropped``."""

    def __init__(self, name: str, rng: Random, limits: ChatLimits = LIMITS) -> None:
        self.name = name
        self.own = ""
        self.is_registered = False
        self.address = ""
        self.peers = 0
        self.closing = False
        self.talks = Conversations(limits)
        self.rosters: dict[str, Roster] = {}
        self.names = Names(limits)
        self.dropped: Counter[str] = Counter()
        self._limits = limits
        self._rng = rng
        self._wanted = name
        self._renames = 0
        self._channels: tuple[str, ...] = ()
        self._numbers = 0
        self._sending: dict[int, str] = {}
        self._whispers = Whispers(self.names, self.talks, self.dropped, limits)
        self._checked = float("-inf")

    def handle(self, input: Input, now: float) -> list[Output]:
        """What follows from the input at that time, in seconds of any steady clock."""
        match input:
            case Typed():
                return self._typed(input, now)
            case Turned(by):
                self.talks.turn(by)
            case Chosen(index):
                self.talks.choose(index)
            case Told(lines):
                for line in lines:
                    self._note(self.talks.current.key, line, now)
            case Where(address, peers):
                self.address, self.peers = address, peers
            case FromChannel():
                return self._heard(input, now)
            case Direct():
                return [*self._whispers.heard(input, now)]
            case Settled():
                self._settled(input, now)
            case Found():
                return self._found(input, now)
            case Ticked():
                return self._ticked(now)
            case _:
                return self._began(input, now)
        return []

    # Entering

    def _began(self, input: Began | Connected | Named | Entered, now: float) -> list[Output]:
        match input:
            case Began(seeds, channels):
                self._channels, self._checked = channels, now
                self._note(HOME, f"you are {self.name}; /help lists the commands", now)
                if seeds:
                    self._note(HOME, f"connecting to {clean(seeds[0][0], 64)}:{seeds[0][1]} ...", now)
                    return [Connect(seeds)]
                return [Register(self.name), *self._enter_all(now)]
            case Connected():
                return self._connected(input, now)
            case Named():
                return self._named(input, now)
            case Entered(channel, problem):
                if problem and channel in self.rosters:
                    self._problem(channel, f"not connected to others in {channel} yet: {problem}", now)
                elif channel in self.rosters:
                    self.rosters[channel].enter(now)
                return self._announcements(now)

    def _connected(self, input: Connected, now: float) -> list[Output]:
        if input.problem:
            self._tell_user(Kind.PROBLEM, f"{input.problem}; /connect HOST:PORT tries again", now)
        else:
            self._tell_user(Kind.NOTICE, f"connected to {input.at}", now)
            for roster in self.rosters.values():
                roster.enter(now)
        return [Register(self.name), *self._enter_all(now), *self._announcements(now)]

    def _enter_all(self, now: float) -> list[Output]:
        channels, self._channels = self._channels, ()
        return [output for channel in channels for output in self._join(channel, now)]

    def _named(self, input: Named, now: float) -> list[Output]:
        if not input.taken:
            self.is_registered = not input.problem
            self.own = input.peer_id or self.own
            self._checked = min(self._checked, now - self._limits.believed + self._limits.settled)
            if input.problem:
                self._problem(HOME, f"others cannot verify your name yet: {input.problem}", now)
            return []
        self.is_registered = False
        self._renames += 1
        if self._renames > self._limits.renames:
            self._problem(HOME, "no free name was found: start again with another --name", now)
            return []
        self.name = f"{self._wanted[: NAME - 5]}-{self._rng.randrange(1000, 10_000)}"
        taken = f"the name {input.name} is somebody else's: you are {self.name} here"
        self._tell_user(Kind.PROBLEM, taken, now)
        for roster in self.rosters.values():
            roster.rename(now)
        return [Register(self.name)]

    # What the user types

    def _typed(self, input: Typed, now: float) -> list[Output]:
        match parse(input.line):
            case Say(text):
                return self._say(text, now)
            case Tell(name, text):
                return self._tell(name, text, now)
            case ConnectTo(host, port):
                self._tell_user(Kind.NOTICE, f"connecting to {clean(host, 64)}:{port} ...", now)
                return [Connect(((host, port),))]
            case JoinChannel(channel):
                return self._join(channel, now)
            case PartChannel(channel):
                return self._part(channel or self.talks.current.key, now)
            case Plain(verb):
                return self._plain(verb, now)
            case Mistake(advice):
                self._problem(self.talks.current.key, advice, now)
            case Nothing():
                pass
        return []

    def _plain(self, verb: str, now: float) -> list[Output]:
        here = self.talks.current.key
        match verb:
            case "stats":
                return [TellStats()]
            case "quit":
                return self._quit()
            case "who":
                self._note(here, self._who(here), now)
            case _:
                for shown in VERBS.values():
                    self._note(here, f"{shown.usage:<20} {shown.does}", now)
        return []

    def _who(self, key: str) -> str:
        if key.startswith("@"):
            return f"you and {key[1:]}"
        if key not in self.rosters:
            return "/who is for channels: /join #channel first"
        return ", ".join([f"{self.name} (you)", *map(self.shown, self.rosters[key])])

    def _say(self, text: str, now: float) -> list[Output]:
        key = self.talks.current.key
        if key.startswith("@"):
            return self._tell(key[1:], text, now)
        if key not in self.rosters:
            self._problem(key, "nobody hears this: /join #channel, or /msg NAME text", now)
            return []
        number = self._own_line(key, text, now)
        return [Publish(key, Said(self.name, text), number)] if number else []

    def _tell(self, name: str, text: str, now: float) -> list[Output]:
        here = self.talks.current.key
        if name == self.name:
            self._problem(here, "that is you", now)
            return []
        if self.talks.open(key := f"@{name}") is None:
            self._problem(here, "too many conversations: /part one of them first", now)
            return []
        self.talks.show(key)
        number = self._own_line(key, text, now)
        return [Whisper(number, name, Whispered(self.name, text))] if number else []

    def _own_line(self, key: str, text: str, now: float) -> int:
        """The number under which it is on its way; 0 when too many are."""
        if len(self._sending) >= self._limits.sending:
            self._problem(key, "too many messages are on their way: wait for some, then send it again", now)
            return 0
        self._numbers += 1
        self._sending[self._numbers] = key
        line = Line(now, Kind.OWN, text, self.name, self.own, Standing.VERIFIED, self._numbers, "sending")
        self.talks.add(key, line)
        return self._numbers

    def _settled(self, input: Settled, now: float) -> None:
        key = self._sending.pop(input.number, "")
        if key not in self.talks:
            return
        done = "delivered" if key.startswith("@") else "sent"
        self.talks[key].settle(input.number, f"failed: {input.problem}" if input.problem else done)
        if input.peer_id and not input.problem:
            self._whispers.meet(key, input.peer_id, now)

    # Channels

    def _join(self, channel: str, now: float) -> list[Output]:
        if channel in self.rosters:
            self.talks.show(channel)
            return []
        if len(self.rosters) >= self._limits.channels or self.talks.open(channel) is None:
            self._problem(self.talks.current.key, "too many channels: /part one of them first", now)
            return []
        self.rosters[channel] = Roster(self._limits, self._rng, self.dropped)
        self.talks.show(channel)
        self._note(channel, f"you joined {channel}; all members of the swarm can read it", now)
        return [Enter(channel)]

    def _part(self, key: str, now: float) -> list[Output]:
        if key.startswith("@"):
            self.talks.close(key)
            return []
        if key not in self.rosters:
            what = "this is no channel" if key == HOME else f"you are not in {key}"
            self._problem(self.talks.current.key, f"{what}: write /part #channel", now)
            return []
        del self.rosters[key]
        self.talks.close(key)
        return [Publish(key, Farewell(self.name)), Exit(key)]

    def _quit(self) -> list[Output]:
        if self.closing:
            return []
        self.closing = True
        leaving = [Publish(channel, Farewell(self.name)) for channel in self.rosters]
        return [*leaving, *map(Exit, self.rosters), Close(self.name)]

    def _heard(self, input: FromChannel, now: float) -> list[Output]:
        roster = self.rosters.get(input.channel)
        if roster is None:
            return []
        try:
            message = decode_in_channel(input.data)
        except MalformedMessage:
            self.dropped["malformed"] += 1
            return []
        who = Member(input.peer_id, message.name, now)
        if isinstance(message, Farewell):
            if roster.left(input.peer_id):
                self._about(input.channel, who, "left", now)
            return []
        self._present(input.channel, roster, who, now)
        if isinstance(message, Announce):
            if message.fresh:
                roster.answer(now)
        else:
            self._show_said(input.channel, who, message.text, now)
        return list(self.names.ask(who.name, who.peer_id, now))

    def _present(self, channel: str, roster: Roster, who: Member, now: float) -> None:
        before = roster.heard(who.peer_id, who.name, now)
        if before is None:
            self._about(channel, who, "is here", now)
        elif before != who.name:
            former = self.shown(Member(who.peer_id, before, now))
            self._about(channel, who, f"was called {former}", now)

    def _show_said(self, channel: str, who: Member, text: str, now: float) -> None:
        text = clean(text)
        if not text:
            self.dropped["empty"] += 1
            return
        standing = self.names.standing(who.name, who.peer_id)
        self.talks.add(channel, Line(now, Kind.SAID, text, who.name, who.peer_id, standing))

    def shown(self, who: Member) -> str:
        """A member's name with what is known of it."""
        return shown_name(who.name, who.peer_id, self.names.standing(who.name, who.peer_id))

    # The directory

    def _found(self, found: Found, now: float) -> list[Output]:
        self.names.found(found, now)
        for talk in self.talks:
            judged = {line.peer_id for line in talk.lines if line.name == found.name}
            talk.judge(found.name, {peer: self.names.standing(found.name, peer) for peer in judged})
        is_lost = found.name == self.name and not found.problem and found.owner != self.own
        again = [Register(self.name)] if is_lost else []  # what comes of it says whose the name is
        return [*again, *self._whispers.release(now)]

    # Time

    def _ticked(self, now: float) -> list[Output]:
        for channel, roster in self.rosters.items():
            for member in roster.gone(now):
                self._about(channel, member, "is gone: not heard any more", now)
        outputs: list[Output] = list(islice(self._doubts(now), self._limits.lookups_at_tick))
        if now - self._checked >= self._limits.believed:
            self._checked = now
            outputs += [LookUp(self.name)] if self.is_registered else [Register(self.name)]
        return [*outputs, *self._whispers.release(now), *self._announcements(now)]

    def _doubts(self, now: float) -> Iterator[LookUp]:
        for roster in self.rosters.values():
            for member in roster:
                yield from self.names.ask(member.name, member.peer_id, now)

    def _announcements(self, now: float) -> list[Output]:
        if self.closing:  # the farewell is the last word
            return []
        due = [(channel, roster.announces(now)) for channel, roster in self.rosters.items()]
        return [
            Publish(channel, Announce(self.name, fresh=is_fresh))
            for channel, is_fresh in due
            if is_fresh is not None
        ]

    def _about(self, key: str, who: Member, text: str, now: float) -> None:
        """A line that begins with a member's name."""
        standing = self.names.standing(who.name, who.peer_id)
        self.talks.add(key, Line(now, Kind.NOTICE, text, who.name, who.peer_id, standing))

    def _tell_user(self, kind: Kind, text: str, now: float) -> None:
        """Where it belongs, and where the user looks."""
        for key in {HOME, self.talks.current.key}:
            self.talks.add(key, Line(now, kind, clean(text, 300)))

    def _note(self, key: str, text: str, now: float) -> None:
        self.talks.add(key, Line(now, Kind.NOTICE, text))

    def _problem(self, key: str, text: str, now: float) -> None:
        self.talks.add(key, Line(now, Kind.PROBLEM, clean(text, 300)))


def shown_name(name: str, peer_id: str, standing: Standing) -> str:
    """The name of its owner; with a question mark while nobody knows; of anybody else only who it is."""
    if standing is Standing.FALSE:
        return f"?{short(peer_id)}"
    return name if standing is Standing.VERIFIED else f"{name}?"

"""The messenger's rules in virtual time: commands, names, presence, private messages, and what hostile texts may do."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import MalformedMessage
from samples.chat import commands, io, wire
from samples.chat.chat import Chat
from samples.chat.commands import parse
from samples.chat.conversations import HOME, Conversation
from samples.chat.editing import History, completed
from samples.chat.limits import NAME, TEXT, ChatLimits
from samples.chat.names import Standing
from samples.chat.text import clean
from samples.chat.view import line_text, side_text, status_text, words

GENERAL: Final = "#general"
ALICE, BOB, MALLORY = "a" * 64, "b" * 64, "e" * 64
SMALL: Final = ChatLimits(
    lines=8, conversations=5, channels=3, members=4, sending=3, held=8, names=6, lookups=2, history=3
)

TYPED: Final = {
    "hello": commands.Say("hello"),
    "  hello ": commands.Say("hello"),
    "//shrug": commands.Say("/shrug"),
    "": commands.Nothing(),
    "\x1b\x07": commands.Nothing(),
    "/join #General": commands.JoinChannel("#general"),
    "/join general": commands.JoinChannel("#general"),
    "/part": commands.PartChannel(None),
    "/part #x": commands.PartChannel("#x"),
    "/msg Bob  hi there": commands.Tell("bob", "hi there"),
    "/msg @bob hi": commands.Tell("bob", "hi"),
    "/msg bob //x": commands.Tell("bob", "//x"),
    "/connect 127.0.0.1:5000": commands.ConnectTo("127.0.0.1", 5000),
    "/connect [::1]:5000": commands.ConnectTo("::1", 5000),
    "/WHO": commands.Plain("who"),
    "/quit": commands.Plain("quit"),
}
MISTAKES: Final = {
    "/nothing": "/help",
    "/": "/help",
    "/join": "write /join #channel",
    "/join #": "write /join #channel",
    "/join #a b": "write /join #channel",
    "/part #a b": "write /part",
    "/msg": "write /msg NAME text",
    "/msg bob": "write /msg NAME text",
    "/msg bøb hi": "write /msg NAME text",
    "/connect": "write /connect HOST:PORT",
    "/connect :5000": "write /connect HOST:PORT",
    "/connect host:0": "write /connect HOST:PORT",
    "/connect host:70000": "write /connect HOST:PORT",
    "/who bob": "write /who alone",
    "x" * (TEXT + 1): "send it in parts",
    "/msg bob " + "x" * (TEXT + 1): "send it in parts",
}


@pytest.mark.parametrize("line", TYPED)
def test_a_line_means_what_the_help_says(line: str) -> None:
    assert parse(line) == TYPED[line]


@pytest.mark.parametrize("line", MISTAKES)
def test_a_wrong_line_is_answered_by_what_to_write(line: str) -> None:
    found = parse(line)
    assert isinstance(found, commands.Mistake)
    assert MISTAKES[line] in found.advice
    assert found.advice.isprintable()


# Texts of others


@given(st.text(), st.integers(1, 40))
def test_what_is_shown_of_a_text_is_one_line_of_harmless_characters(text: str, most: int) -> None:
    shown = clean(text, most)
    assert len(shown) <= most
    categories = [unicodedata.category(letter) for letter in shown.replace(" ", "")]
    assert not any(category[0] in "CZ" for category in categories)
    assert "MMM" not in "".join(category[0] for category in categories)
    assert clean(shown, most) == shown


def test_plain_text_is_shown_as_it_is() -> None:
    assert clean("Grüße, 世界 👋 [bold]x[/]") == "Grüße, 世界 👋 [bold]x[/]"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(raw: bytes) -> None:
    for decode in (wire.decode_in_channel, wire.decode_direct):
        try:
            message = decode(raw)
        except MalformedMessage:
            continue
        assert decode(wire.encode(message)) == message


@pytest.mark.parametrize(
    "raw",
    [
        ["chat.said", "alice", ""],
        ["chat.said", "alice", "x" * (TEXT + 1)],
        ["chat.said", "alice\n", "x"],
        ["chat.said", "Alice", "x"],
        ["chat.said", "a" * (NAME + 1), "x"],
        ["chat.said", "\x1b[2J", "x"],
        ["chat.said", "alice", "x", "more"],
        ["chat.here", "alice", 1],
        ["chat.private", "alice", "x"],
    ],
)
def test_a_message_of_a_channel_has_a_name_and_a_text_of_sensible_size(raw: list[object]) -> None:
    with pytest.raises(MalformedMessage):
        wire.decode_in_channel(msgspec.msgpack.encode(raw))


# One messenger


def begun(limits: ChatLimits | None = None, *channels: str) -> Chat:
    """Alice, registered, in the channels."""
    chat = Chat("alice", Random(1), limits or ChatLimits())
    chat.handle(io.Began((), channels or (GENERAL,)), 0.0)
    chat.handle(io.Named("alice", ALICE), 0.0)
    for channel in channels or (GENERAL,):
        chat.handle(io.Entered(channel), 0.0)
    return chat


def typed(chat: Chat, line: str, now: float = 1.0) -> list[io.Output]:
    return chat.handle(io.Typed(line), now)


def said(peer_id: str, name: str, text: str, channel: str = GENERAL) -> io.FromChannel:
    return io.FromChannel(channel, peer_id, wire.encode(wire.Said(name, text)))


def whispered(peer_id: str, name: str, text: str) -> io.Direct:
    return io.Direct(peer_id, wire.encode(wire.Whispered(name, text)))


def shown(talk: Conversation) -> list[str]:
    return [line_text(line, lambda _: "now").plain.removeprefix("now ") for line in talk.lines]


def last(chat: Chat, key: str = GENERAL) -> str:
    return shown(chat.talks[key])[-1]


def test_a_full_channel_forgets_whom_it_heard_longest_ago_and_counts_that() -> None:
    chat = begun(SMALL)
    for number in range(SMALL.members + 2):
        chat.handle(said(f"{number:064x}", f"n{number}", "hi"), 1.0 + number)
    assert [member.name for member in chat.rosters[GENERAL]] == ["n2", "n3", "n4", "n5"]
    assert chat.dropped == Counter({"member-crowded-out": 2})


def test_a_name_is_shown_with_a_question_mark_until_the_directory_has_said_whose_it_is() -> None:
    chat = begun()
    assert chat.handle(said(BOB, "bob", "hi"), 1.0) == [io.LookUp("bob")]
    assert shown(chat.talks[GENERAL])[-2:] == ["* bob? is here", "bob?: hi"]
    assert chat.handle(said(BOB, "bob", "again"), 1.1) == [], "asked twice"
    chat.handle(io.Found("bob", BOB), 1.2)
    assert shown(chat.talks[GENERAL])[-3:] == ["* bob is here", "bob: hi", "bob: again"]


def test_who_uses_a_name_of_another_is_shown_by_its_peer_id() -> None:
    chat = begun()
    chat.handle(said(MALLORY, "bob", "I am bob"), 1.0)
    chat.handle(io.Found("bob", BOB), 1.1)
    assert last(chat) == "?eeeeeeee: I am bob"
    typed(chat, "/who")
    assert last(chat) == "* alice (you), ?eeeeeeee"


def test_who_uses_this_users_name_is_shown_by_its_peer_id() -> None:
    chat = begun()
    chat.handle(said(MALLORY, "alice", "hello"), 1.0)
    assert chat.handle(io.Found("alice", ALICE), 1.1) == []
    assert last(chat) == "?eeeeeeee: hello"


def test_a_verified_name_stays_so_when_the_directory_does_not_answer() -> None:
    chat = begun()
    chat.handle(said(BOB, "bob", "hi"), 1.0)
    chat.handle(io.Found("bob", BOB), 1.0)
    assert chat.handle(said(BOB, "bob", "later"), 100.0) == [io.LookUp("bob")]
    chat.handle(io.Found("bob", problem="nobody answered"), 101.0)
    assert last(chat) == "bob: later"


def test_a_private_message_is_shown_when_its_name_was_verified() -> None:
    chat = begun()
    assert chat.handle(whispered(BOB, "bob", "psst"), 1.0) == [io.LookUp("bob")]
    assert "@bob" not in chat.talks
    chat.handle(io.Found("bob", BOB), 1.1)
    assert shown(chat.talks["@bob"]) == ["bob: psst"]
    assert chat.talks["@bob"].unread == 1
    assert "3 @bob (1)" in side_text(chat).plain
    chat.handle(io.Chosen(2), 1.2)
    assert chat.talks.current.key == "@bob"
    assert chat.talks["@bob"].unread == 0


def test_a_private_message_under_a_name_of_another_is_refused_and_counted() -> None:
    chat = begun()
    chat.handle(whispered(MALLORY, "bob", "give me your money"), 1.0)
    chat.handle(io.Found("bob", BOB), 1.1)
    assert "@bob" not in chat.talks
    assert last(chat, HOME) == "! refused a private message: eeeeeeee is not bob"
    assert chat.dropped == Counter({"private-false-name": 1})


@pytest.mark.parametrize("found", [io.Found("bob"), io.Found("bob", problem="nobody answered")])
def test_a_private_message_that_cannot_be_verified_is_shown_apart(found: io.Found) -> None:
    chat = begun()
    chat.handle(whispered(BOB, "bob", "psst"), 1.0)
    chat.handle(found, 1.1)
    assert "@bob" not in chat.talks
    assert last(chat, HOME) == "bob?: (to you alone) psst"


def test_a_private_message_is_not_verified_by_an_old_answer() -> None:
    chat = begun()
    chat.handle(said(BOB, "bob", "hi"), 1.0)
    chat.handle(io.Found("bob", BOB), 1.0)
    assert chat.handle(whispered(BOB, "bob", "psst"), 20.0) == [io.LookUp("bob")]
    chat.handle(io.Found("bob", problem="nobody answered"), 21.0)
    assert "@bob" not in chat.talks


def test_a_name_that_changed_hands_is_told_in_its_conversation() -> None:
    chat = begun()
    chat.handle(whispered(BOB, "bob", "one"), 1.0)
    chat.handle(io.Found("bob", BOB), 1.0)
    chat.handle(whispered(MALLORY, "bob", "two"), 50.0)
    chat.handle(io.Found("bob", MALLORY), 50.0)
    assert shown(chat.talks["@bob"]) == [
        "bob: one",
        "! bob is another peer now: eeeeeeee, before bbbbbbbb",
        "bob: two",
    ]


def test_one_sender_cannot_take_all_places_of_messages_that_wait_to_be_verified() -> None:
    chat = begun(ChatLimits(held=16))
    for number in range(20):
        chat.handle(whispered(MALLORY, f"m{number}", "x"), 1.0)
    assert chat.dropped["private-unverified"] == 18
    chat.handle(whispered(BOB, "bob", "psst"), 1.1)
    chat.handle(io.Found("bob", BOB), 1.2)
    assert shown(chat.talks["@bob"]) == ["bob: psst"]


def test_an_own_line_says_what_became_of_it() -> None:
    chat = begun()
    assert typed(chat, "hello") == [io.Publish(GENERAL, wire.Said("alice", "hello"), 1)]
    assert last(chat) == "alice: hello [sending]"
    chat.handle(io.Settled(1), 1.1)
    assert last(chat) == "alice: hello [sent]"
    assert typed(chat, "/msg bob psst") == [io.Whisper(2, "bob", wire.Whispered("alice", "psst"))]
    chat.handle(io.Settled(2, peer_id=BOB), 1.2)
    assert last(chat, "@bob") == "alice: psst [delivered]"
    assert typed(chat, "more") == [io.Whisper(3, "bob", wire.Whispered("alice", "more"))]
    chat.handle(io.Settled(3, problem="no such peer"), 1.3)
    assert last(chat, "@bob") == "alice: more [failed: no such peer]"


def test_too_many_messages_on_their_way_are_told() -> None:
    chat = begun(SMALL)
    outputs = [typed(chat, f"number {number}") for number in range(4)]
    assert [len(output) for output in outputs] == [1, 1, 1, 0]
    assert "wait for some" in last(chat)
    chat.handle(io.Settled(1), 1.0)
    assert typed(chat, "again")


def test_what_nobody_would_hear_is_not_sent() -> None:
    chat = begun()
    chat.handle(io.Chosen(0), 1.0)
    assert typed(chat, "hello?") == []
    assert last(chat, HOME) == "! nobody hears this: /join #channel, or /msg NAME text"
    assert typed(chat, "/msg alice hello") == []
    assert last(chat, HOME) == "! that is you"


def test_parting_says_farewell_and_shows_another_conversation() -> None:
    chat = begun(None, GENERAL, "#other")
    assert typed(chat, "/part") == [io.Publish("#other", wire.Farewell("alice")), io.Exit("#other")]
    assert chat.talks.current.key == GENERAL
    assert typed(chat, "/part #other") == []
    assert last(chat) == "! you are not in #other: write /part #channel"
    assert chat.handle(said(BOB, "bob", "late", "#other"), 2.0) == []
    chat.handle(io.Chosen(0), 2.0)
    assert typed(chat, "/part") == []
    assert last(chat, HOME) == "! this is no channel: write /part #channel"


def test_quitting_leaves_all_channels_once() -> None:
    chat = begun(None, GENERAL, "#other")
    outputs = typed(chat, "/quit")
    assert outputs[-1] == io.Close("alice")
    assert Counter(type(output) for output in outputs) == {io.Publish: 2, io.Exit: 2, io.Close: 1}
    assert typed(chat, "/quit") == []


def test_whoever_quits_announces_itself_no_more() -> None:
    chat = begun(None, GENERAL)
    typed(chat, "/quit")
    outputs = [output for seconds in range(100) for output in chat.handle(io.Ticked(), float(seconds))]
    assert [output for output in outputs if isinstance(output, io.Publish)] == []


def test_a_swarm_that_cannot_be_entered_is_told_and_can_be_tried_again() -> None:
    chat = Chat("alice", Random(1))
    seeds = (("127.0.0.1", 1),)
    assert chat.handle(io.Began(seeds, (GENERAL,)), 0.0) == [io.Connect(seeds)]
    outputs = chat.handle(io.Connected("", "cannot join"), 5.0)
    assert outputs == [io.Register("alice"), io.Enter(GENERAL)], "it goes on alone"
    assert last(chat, HOME) == "! cannot join; /connect HOST:PORT tries again"
    assert typed(chat, "/connect 127.0.0.1:2") == [io.Connect((("127.0.0.1", 2),))]
    chat.handle(io.Entered(GENERAL), 6.0)
    outputs = chat.handle(io.Connected("127.0.0.1:2"), 9.0)
    assert outputs == [io.Register("alice"), io.Publish(GENERAL, wire.Announce("alice", fresh=True))]


def test_a_name_that_is_taken_is_changed_and_said_so_a_few_times() -> None:
    chat = Chat("alice", Random(1))
    chat.handle(io.Began((), (GENERAL,)), 0.0)
    tried = ["alice"]
    while outputs := chat.handle(io.Named(tried[-1], problem="taken", taken=True), 1.0):
        assert outputs == [io.Register(chat.name)]
        assert f"the name {tried[-1]} is somebody else's: you are {chat.name} here" in last(chat)
        tried.append(chat.name)
    assert len(tried) == 1 + ChatLimits().renames
    assert all(name.startswith("alice-") for name in tried[1:])
    assert "start again with another --name" in last(chat, HOME)


def test_a_name_that_was_lost_is_registered_anew() -> None:
    chat = begun()
    assert io.LookUp("alice") in chat.handle(io.Ticked(), 100.0)
    assert chat.handle(io.Found("alice", ALICE), 101.0) == []
    assert chat.handle(io.Found("alice", MALLORY), 102.0) == [io.Register("alice")]
    assert chat.handle(io.Found("alice", problem="nobody answered"), 103.0) == []


# Presence, of several messengers


class Room:
    """Messengers in one channel, in virtual time. What one publishes all others have at once."""

    def __init__(self, count: int, limits: ChatLimits) -> None:
        self.now = 0.0
        self.limits = limits
        self.published: list[wire.InChannel] = []
        self.chats: dict[str, Chat] = {}
        for number in range(count):
            self.enter(number)

    def enter(self, number: int) -> Chat:
        chat = Chat(f"n{number}", Random(number), self.limits)
        peer_id = f"{number:064x}"
        self.chats[peer_id] = chat
        self.do(peer_id, io.Began((), (GENERAL,)))
        return chat

    def do(self, peer_id: str, input: io.Input) -> None:
        for output in self.chats[peer_id].handle(input, self.now):
            match output:
                case io.Register(name):
                    self.do(peer_id, io.Named(name, peer_id))
                case io.Enter(channel):
                    self.do(peer_id, io.Entered(channel))
                case io.LookUp(name):
                    self.do(peer_id, io.Found(name, f"{int(name[1:]):064x}"))
                case io.Publish():
                    self.publish(peer_id, output.message)
                case _:
                    pass

    def publish(self, peer_id: str, message: wire.InChannel) -> None:
        self.published.append(message)
        for other in self.chats:
            if other != peer_id:
                self.do(other, io.FromChannel(GENERAL, peer_id, wire.encode(message)))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += self.limits.tick
            for peer_id in list(self.chats):
                self.do(peer_id, io.Ticked())

    def see(self, peer_id: str) -> set[str]:
        return {member.name for member in self.chats[peer_id].rosters[GENERAL]}


def test_all_know_each_other_soon_after_a_newcomer() -> None:
    room = Room(8, ChatLimits())
    room.run(ChatLimits().answer + 1.0)
    newest = room.enter(8)
    room.run(ChatLimits().answer + 1.0)
    assert room.see(f"{8:064x}") == {f"n{number}" for number in range(8)}
    assert all("n8" in room.see(f"{number:064x}") for number in range(8))
    assert shown(newest.talks[GENERAL])[1] == "* n0 is here" or len(newest.talks[GENERAL].lines) == 9


def test_newcomers_at_once_are_answered_once() -> None:
    limits = ChatLimits(announce=1000.0)
    room = Room(10, limits)
    room.run(20.0)
    room.published.clear()
    for number in range(10, 20):
        room.enter(number)
    room.run(limits.answer)
    answers = [message.name for message in room.published if not getattr(message, "fresh", True)]
    assert max(Counter(answers).values()) <= 2
    assert len(room.published) <= 10 * 2 + 20


def test_a_hostile_newcomer_is_not_answered_without_end() -> None:
    limits = ChatLimits(announce=1000.0)
    room = Room(1, limits)
    room.run(20.0)
    room.published.clear()
    for _ in range(600):
        room.now += 0.1
        hello = wire.encode(wire.Announce("n77", fresh=True))
        room.do(f"{0:064x}", io.FromChannel(GENERAL, f"{77:064x}", hello))
        room.do(f"{0:064x}", io.Ticked())
    assert 10 <= len(room.published) <= 60.0 / limits.answer + 1


def test_who_was_killed_is_gone_after_three_announcements_and_nobody_else_is() -> None:
    limits = ChatLimits()
    room = Room(5, limits)
    room.run(100.0)
    killed = room.chats.pop(f"{2:064x}")
    room.run(3 * limits.announce)
    for peer_id, chat in room.chats.items():
        assert room.see(peer_id) == {other.name for other in room.chats.values()} - {chat.name}
        assert sum("is gone" in text for text in shown(chat.talks[GENERAL])) == 1
        assert last(chat) == f"* {killed.name} is gone: not heard any more"


def test_who_says_farewell_is_gone_at_once() -> None:
    room = Room(3, ChatLimits())
    room.run(5.0)
    room.publish(f"{2:064x}", wire.Farewell("n2"))
    assert room.see(f"{0:064x}") == {"n1"}
    assert last(room.chats[f"{0:064x}"]) == "* n2 left"


def test_who_is_called_otherwise_now_is_told() -> None:
    chat = begun()
    for name in ("bob", "bob-1234"):
        chat.handle(io.FromChannel(GENERAL, BOB, wire.encode(wire.Announce(name, fresh=False))), 1.0)
        chat.handle(io.Found(name, BOB), 1.0)
    assert last(chat) == "* bob-1234 was called bob"


# Bounds, whatever comes

NAMES: Final = st.sampled_from(["alice", "bob", "carol", "dave", "eve", "frank", "grace"])
PEERS: Final = st.sampled_from([letter * 64 for letter in "abcdef"])
CHANNELS: Final = st.sampled_from([GENERAL, "#other", "#more", "#none"])
BODIES: Final = st.one_of(
    st.binary(max_size=30),
    st.builds(lambda name, text: wire.encode(wire.Said(name, text)), NAMES, st.text(min_size=1, max_size=20)),
    st.builds(lambda name, fresh: wire.encode(wire.Announce(name, fresh=fresh)), NAMES, st.booleans()),
    st.builds(lambda name: wire.encode(wire.Farewell(name)), NAMES),
    st.builds(
        lambda name, text: wire.encode(wire.Whispered(name, text)), NAMES, st.text(min_size=1, max_size=20)
    ),
)
LINES: Final = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["/who", "/help", "/part", "/stats", "/join #other", "/join #more", "/join #x", "/join #y"]
    ),
    st.builds("/msg {} hi".format, NAMES),
)
INPUTS: Final = st.one_of(
    st.builds(io.Typed, LINES),
    st.builds(io.Turned, st.integers(-9, 9)),
    st.builds(io.Chosen, st.integers(-1, 9)),
    st.builds(io.FromChannel, CHANNELS, PEERS, BODIES),
    st.builds(io.Direct, PEERS, BODIES),
    st.builds(io.Found, NAMES, st.one_of(st.just(""), PEERS), st.sampled_from(["", "no answer"])),
    st.builds(io.Settled, st.integers(0, 9), st.sampled_from(["", "failed"]), PEERS),
    st.builds(io.Entered, CHANNELS, st.sampled_from(["", "no place"])),
    st.builds(io.Connected, st.just("x"), st.sampled_from(["", "unreachable"])),
    st.builds(io.Named, NAMES, PEERS, st.sampled_from(["", "no"]), st.booleans()),
    st.just(io.Ticked()),
)


@given(st.lists(st.tuples(INPUTS, st.floats(0.0, 30.0)), max_size=60))
def test_whatever_comes_everything_is_bounded_and_shown_in_harmless_characters(
    steps: Iterable[tuple[io.Input, float]],
) -> None:
    chat = begun(SMALL)
    now = 0.0
    for input, later in steps:
        now += later
        chat.handle(input, now)
        talks = list(chat.talks)
        assert len(talks) <= SMALL.conversations
        assert chat.talks.current in talks
        assert all(len(talk.lines) <= SMALL.lines for talk in talks)
        assert len(chat.rosters) <= SMALL.channels
        assert all(len(roster) <= SMALL.members for roster in chat.rosters.values())
        assert set(chat.rosters) <= {talk.key for talk in talks}
        for text in [*(line for talk in talks for line in shown(talk)), status_text(chat).plain]:
            assert text.isprintable()
        assert side_text(chat).plain.replace("\n", "").isprintable()
        verified = [
            line
            for talk in talks
            if talk.key.startswith("@")
            for line in talk.lines
            if line.kind.value == "said"
        ]
        assert all(line.standing is Standing.VERIFIED for line in verified)


# The line that is edited


def test_history_goes_back_and_comes_back_to_what_was_being_written() -> None:
    history = History(2)
    for line in ("one", "two", "two", "three", "  "):
        history.entered(line)
    assert [history.older("draft"), history.older(""), history.older("")] == ["three", "two", "two"]
    assert [history.newer(""), history.newer(""), history.newer("x")] == ["three", "draft", "x"]


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("/jo", "/join "),
        ("/msg al", "/msg al"),
        ("/msg ali", "/msg alice "),
        ("/msg z", "/msg z"),
        ("/join #g", "/join #general "),
        ("/msg a", "/msg al"),
        ("", ""),
    ],
)
def test_a_word_is_completed_as_far_as_it_is_clear(line: str, after: str) -> None:
    assert completed(line, ["/join", "/msg", "alice", "albert", "#general"]) == after


def test_names_and_channels_can_be_completed() -> None:
    chat = begun()
    chat.handle(said(BOB, "bob", "hi"), 1.0)
    typed(chat, "/msg carol hi")
    assert words(chat) == [GENERAL, "bob", "carol"]

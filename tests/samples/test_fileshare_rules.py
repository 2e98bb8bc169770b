"""The rules of fetching a file, among holders that are slow, lie, refuse or fall silent, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples.filesharing.chunks import LEAST_CHUNK, MIB, Bitmap
from samples.filesharing.fetching import (
    SEARCH_FIRST_S,
    AskFor,
    Begin,
    Came,
    Done,
    Dropped,
    Failed,
    Fetch,
    Found,
    GaveUp,
    ListCame,
    Search,
    Store,
    TimerFired,
)
from samples.filesharing.holders import HOLDERS, PAUSE_S, REMEMBERED, WINDOW_MOST, Fault, Holders
from tests.samples.fileworld import Character, World, contents, listed

HONEST = Character()
characters = st.builds(
    Character,
    seconds=st.sampled_from([0.001, 0.1, 1.0, 6.0, 20.0]),
    then=st.sampled_from([None, Fault.LIES, Fault.SILENT, Fault.REFUSES]),
    good=st.integers(0, 12),
)


@given(st.integers(0, 40), st.lists(characters, max_size=6), st.data())
def test_a_file_is_whole_when_one_holder_is_honest_and_nothing_wrong_is_ever_stored(
    count: int, others: list[Character], data: st.DataObject
) -> None:
    pieces = contents(count)
    have = data.draw(st.none() | st.sets(st.integers(0, max(count - 1, 0)), max_size=count).map(sorted))
    world = World.of(pieces, others, have)
    end = world.run()
    assert all(piece == pieces[index] for index, piece in world.stored.items())
    assert not set(world.stored) & set(have or ())
    if isinstance(end, Done):
        assert set(world.stored) | set(have or ()) == set(range(count))
    else:
        assert isinstance(end, GaveUp)
        assert not any(one.is_honest for one in others)


@given(st.lists(characters, max_size=6))
def test_who_lied_is_never_asked_again_and_the_honest_are_not_called_liars(others: list[Character]) -> None:
    world = World.of(contents(30), [*others, HONEST])
    world.run()
    liars: set[str] = set()
    for _, output in world.outputs:
        if isinstance(output, Dropped) and output.fault is Fault.LIES:
            liars.add(output.holder)
        assert not (isinstance(output, AskFor) and output.holder in liars)
    assert all(world.characters[name].then is Fault.LIES for name in liars)


def test_everybody_who_has_it_gives_a_share() -> None:
    world = World.of(contents(120), [HONEST] * 3)
    assert isinstance(world.run(), Done)
    shares = [sum(holder == name for holder, _ in world.asked) for name in world.characters]
    assert min(shares) >= 120 / 3 * 0.8
    assert sum(shares) == 120


def test_a_faster_holder_gives_more() -> None:
    world = World.of(contents(120), [Character(0.4), Character(0.1)])
    world.run()
    shares = [sum(holder == name for holder, _ in world.asked) for name in world.characters]
    assert shares[1] > 2 * shares[0]


def test_a_slow_holder_delays_nothing_and_is_dropped_and_named() -> None:
    world = World.of(contents(60), [HONEST, Character(seconds=14.0)], have=[])
    assert isinstance(world.run(), Done)
    assert world.now < 5.0
    assert world.dropped() == {"peer-1": Fault.SLOW}


def test_who_was_asked_again_and_was_overtaken_after_all_is_not_called_slow() -> None:
    pieces = contents(1)
    fetch = Fetch(listed(pieces).digest, 0.0, chunks=listed(pieces), have=Bitmap(1))
    fetch.handle(Found("first"), 0.0)
    fetch.handle(Found("second"), 0.1)
    assert fetch.next_deadline() == pytest.approx(0.5)
    assert AskFor("second", 0) in fetch.handle(TimerFired(), 0.5)
    fetch.handle(Came("first", 0, pieces[0]), 0.6)
    assert {holder.name: holder.strikes for holder in fetch.holders} == {"first": 0, "second": 0}


def test_when_the_last_holder_is_dropped_the_search_for_others_is_soon() -> None:
    world = World.of(contents(30), [Character(then=Fault.LIES, good=4)], have=[])
    world.run()
    dropped = next(when for when, output in world.outputs if isinstance(output, Dropped))
    later = [when for when, output in world.outputs if isinstance(output, Search) and when > dropped]
    assert later[0] <= dropped + SEARCH_FIRST_S

    fetch = Fetch(listed(contents(3)).digest, 0.0, chunks=listed(contents(3)), have=Bitmap(3))
    fetch.handle(TimerFired(), 0.0)
    fetch.handle(Found("a"), 1.0)
    assert Search() in fetch.handle(TimerFired(), 3.0)
    fetch.handle(Failed("a", 0, Fault.REFUSES), 4.0)
    assert fetch.next_deadline() == pytest.approx(4.0 + SEARCH_FIRST_S)


def test_one_that_dies_in_the_middle_delays_nothing_and_is_dropped_and_named() -> None:
    world = World.of(contents(200), [HONEST, Character(then=Fault.SILENT, good=20)], have=[])
    assert isinstance(world.run(), Done)
    assert world.now < 10.0
    assert set(world.dropped()) == {"peer-1"}


def test_a_liar_is_dropped_at_its_first_lie_and_its_chunks_are_asked_of_others() -> None:
    world = World.of(contents(60), [HONEST, Character(then=Fault.LIES, good=5)], have=[])
    assert isinstance(world.run(), Done)
    assert world.dropped() == {"peer-1": Fault.LIES}
    (told,) = [output for _, output in world.outputs if isinstance(output, Dropped)]
    assert told.chunks == 5


def test_the_only_holder_may_be_slow_or_lose_an_answer() -> None:
    assert isinstance(World.of(contents(20), [Character(seconds=9.0)]).run(), Done)


def test_a_false_list_is_refused_and_its_sender_named() -> None:
    world = World.of(contents(3), [Character(seconds=0.01, then=Fault.LIES), HONEST])
    assert isinstance(world.run(), Done)
    assert world.dropped() == {"peer-0": Fault.LIES}


def test_what_is_there_from_an_earlier_time_is_not_asked_for() -> None:
    world = World.of(contents(30), [HONEST], have=range(20))
    world.run()
    assert {index for _, index in world.asked} == set(range(20, 30))
    assert not any(isinstance(output, Begin) for _, output in world.outputs)


def test_a_complete_file_is_done_without_asking_anybody() -> None:
    world = World.of(contents(5), [], have=range(5))
    assert isinstance(world.run(), Done)
    assert [output for _, output in world.outputs] == [Done()]


def test_who_finds_nobody_searches_again_and_gives_up_when_patience_ends() -> None:
    world = World.of(contents(5), [])
    assert isinstance(world.run(), GaveUp)
    assert world.now == pytest.approx(30.0)
    searches = [when for when, output in world.outputs if isinstance(output, Search)]
    assert len(searches) == 15


def test_a_silent_holder_that_is_found_again_after_a_while_is_asked_again() -> None:
    holders = Holders()
    assert holders.found("a", 0.0)
    assert not holders.found("a", 0.0)
    holders.drop("a", Fault.SILENT, 1.0)
    assert not holders.found("a", 1.0 + PAUSE_S / 2)
    assert holders.found("a", 1.0 + PAUSE_S)
    holders.drop("a", Fault.LIES, 20.0)
    assert not holders.found("a", 1e9)


def test_holders_and_those_dropped_are_bounded() -> None:
    holders = Holders()
    assert sum(holders.found(f"peer-{n}", 0.0) for n in range(2 * HOLDERS)) == HOLDERS
    for n in range(2 * REMEMBERED):
        holders.found(f"other-{n}", 0.0)
        holders.drop(f"peer-{n}", Fault.LIES, 0.0)
        holders.drop(f"other-{n}", Fault.LIES, 0.0)
    assert len(holders._dropped) <= REMEMBERED


def test_windows_grow_with_answers_and_what_is_on_its_way_is_bounded() -> None:
    world = World.of(contents(400), [HONEST] * 3, have=[])
    world.run()
    assert max(holder.window for holder in world.fetch.holders) == WINDOW_MOST

    size = 400 * 4 * MIB
    big = listed(contents(2))
    big = type(big)(size, 4 * MIB, bytes(32 * 400))
    fetch = Fetch(big.digest, 0.0, chunks=big, have=Bitmap(400))
    asked = [
        output
        for n in range(20)
        for output in fetch.handle(Found(f"peer-{n}"), 0.0)
        if isinstance(output, AskFor)
    ]
    assert len(asked) == 6


def test_answers_that_nobody_asked_for_change_nothing() -> None:
    pieces = contents(4)
    chunks = listed(pieces)
    fetch = Fetch(chunks.digest, 0.0, chunks=chunks, have=Bitmap(4))
    fetch.handle(Found("a"), 0.0)
    for event in (
        Came("stranger", 0, pieces[0]),
        Came("a", 3, pieces[3]),
        Failed("a", 99, Fault.LIES),
        Failed("stranger", None, Fault.LIES),
        ListCame("stranger", chunks, "x"),
        TimerFired(),
    ):
        assert not any(isinstance(output, Store | Dropped) for output in fetch.handle(event, 0.1))
    assert fetch.have.held == 0
    assert chunks.chunk == LEAST_CHUNK

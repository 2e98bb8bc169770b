"""Topics are prefixes: a family, or one kind of event."""

from __future__ import annotations

from typing import get_args

from cicada.bus.topics import TRAFFIC, covers, kinds, state_topics, topic_of
from cicada.events import AnyEvent, MessageSettled, PeerStarted, SuccessorsChanged


def test_every_kind_of_event_has_a_topic_of_its_own() -> None:
    topics = [topic_of(kind) for kind in get_args(AnyEvent)]
    assert len(set(topics)) == len(get_args(AnyEvent)) == len(kinds())


def test_a_topic_is_the_family_and_the_name_of_the_event() -> None:
    assert topic_of(SuccessorsChanged) == b"ring.SuccessorsChanged"
    assert topic_of(PeerStarted) == b"run.PeerStarted"


def test_no_topic_is_a_prefix_of_another_so_one_kind_can_be_had_alone() -> None:
    topics = [topic_of(kind) for kind in kinds().values()]
    assert not [(one, other) for one in topics for other in topics if one != other and other.startswith(one)]


def test_a_family_covers_its_kinds_and_no_others() -> None:
    assert covers([b"ring."], topic_of(SuccessorsChanged))
    assert not covers([b"ring."], topic_of(PeerStarted))
    assert covers([b"ring.", b""], topic_of(PeerStarted))
    assert not covers([], topic_of(PeerStarted))


def test_state_is_everything_but_traffic() -> None:
    assert set(state_topics()) | TRAFFIC == {topic_of(kind) for kind in kinds().values()}
    assert topic_of(MessageSettled) in TRAFFIC
    assert topic_of(MessageSettled) not in state_topics()

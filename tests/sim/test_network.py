"""The network does what the product's links on TCP do, and what it is told to do worse."""

from __future__ import annotations

from random import Random

import pytest

from cicada.errors import Misuse
from cicada.limits import LINK
from cicada.sim.conditions import Conditions, apart
from cicada.sim.names import peer_number
from tests.sim.stations import Pair, message

STILL = Conditions(latency=(0.01, 0.01), void=(0.5, 0.5))
TIMEOUT = STILL.timeout()


def test_the_first_message_waits_for_a_handshake_and_the_next_do_not() -> None:
    pair = Pair(STILL)
    pair.send(1)
    pair.run(0.1)
    pair.send(2)
    pair.answer(3)
    pair.run(0.1)
    assert [(round(at, 3), detail) for at, _, _, detail in pair.other.notes] == [(0.04, 1), (0.11, 2)]
    assert [(round(at, 3), detail) for at, _, _, detail in pair.one.notes] == [(0.11, 3)]
    assert pair.network.dials == 1


def test_latencies_are_drawn_between_their_bounds_and_messages_keep_their_order() -> None:
    pair = Pair(Conditions(latency=(0.01, 0.09))).linked()
    sent = {}
    for number in range(1, 200):
        sent[number] = pair.agenda.now
        pair.send(number)
        pair.run(0.005)
    pair.run(1.0)
    assert pair.other.heard() == list(range(1, 200))
    delays = [at - sent[number] for at, _, _, number in pair.other.notes if isinstance(number, int)]
    assert min(delays) >= 0.01
    assert max(delays) <= 0.09
    assert sum(delays) / len(delays) > 0.05, "order holds up the faster ones"


def test_a_lost_message_comes_later_and_holds_up_those_behind_it() -> None:
    pair = Pair(Conditions(latency=(0.01, 0.01), loss=0.3)).linked()
    pair.agenda.run_to(10.0)
    pair.send(*range(1, 30))
    pair.run(20.0)
    heard = [number for number in pair.other.heard() if number != 0]
    came_back = [number for report in pair.one.lost() for number in report]  # type: ignore[attr-defined]
    assert heard + came_back == list(range(1, 30)) or heard == list(range(1, 30))
    steps = [at - 10.0 for at, what, _, _ in pair.other.notes if what == "received"]
    assert any(abs(step - 0.21) < 1e-6 for step in steps), "repeated after 0.2 s"


def test_a_link_breaks_when_its_oldest_message_is_not_acknowledged_in_time() -> None:
    pair = Pair(STILL).linked()
    pair.network.set_conditions(Conditions(latency=(0.01, 0.01), loss=1.0))
    start = pair.agenda.now
    pair.send(1)
    pair.run(TIMEOUT / 2)
    pair.send(2)
    pair.run(3.0)
    assert pair.other.notes == []
    (report,) = pair.one.notes
    assert report[1:] == ("unreachable", pair.other.peer, [1, 2])
    assert report[0] - start == pytest.approx(TIMEOUT, abs=1e-6)
    assert LINK.timeout_floor + LINK.ack_delay == TIMEOUT


def test_a_slow_path_has_a_longer_time_out_up_to_the_ceiling() -> None:
    assert Conditions(latency=(0.5, 0.5)).timeout() == LINK.timeout_floor + LINK.ack_delay
    assert Conditions(latency=(1.0, 1.0)).timeout() == 2.0 + LINK.ack_delay
    assert Conditions(latency=(0.1, 3.0)).timeout() == LINK.timeout_ceiling


def test_duplicates_arrive_twice_and_cost_nothing_else() -> None:
    pair = Pair(STILL).linked()
    pair.network.set_conditions(Conditions(duplication=0.5))
    pair.send(*range(1, 101))
    pair.run(2.0)
    heard = pair.other.heard()
    assert set(heard) == set(range(1, 101))
    assert 130 < len(heard) < 170
    assert [number for index, number in enumerate(heard) if number not in heard[:index]] == list(
        range(1, 101)
    )


def test_overtaken_messages_arrive_late_and_hold_nobody_up() -> None:
    pair = Pair(STILL).linked()
    pair.network.set_conditions(Conditions(latency=(0.01, 0.01), reordering=0.2, extra_delay=(0.1, 0.1)))
    start = pair.agenda.now
    pair.send(*range(1, 101))
    pair.run(2.0)
    heard = pair.other.heard()
    assert sorted(heard) == list(range(1, 101))  # type: ignore[type-var]
    assert heard != sorted(heard)  # type: ignore[type-var]
    assert {round(at - start, 3) for at, _, _, _ in pair.other.notes} == {0.01, 0.11}


def test_slow_messages_hold_up_those_behind_them() -> None:
    pair = Pair(STILL).linked()
    pair.network.set_conditions(Conditions(latency=(0.01, 0.01), slow=0.1, extra_delay=(0.1, 0.1)))
    pair.send(*range(1, 101))
    pair.run(2.0)
    assert pair.other.heard() == list(range(1, 101))


def test_a_cut_that_heals_in_time_costs_a_delay_and_no_link() -> None:
    pair = Pair(STILL).linked()
    number = pair.network.cut(apart([pair.one.peer], [pair.other.peer]))
    pair.send(1, 2)
    pair.run(0.005)
    pair.send(3)
    pair.run(0.4)
    pair.network.heal(number)
    pair.send(4)
    pair.run(1.0)
    assert pair.other.heard() == [1, 2, 3, 4]
    assert pair.one.notes == []


def test_a_cut_breaks_links_in_use_and_new_dials_fail() -> None:
    pair = Pair(STILL).linked()
    pair.network.cut(apart([pair.one.peer]))
    pair.send(1)
    pair.run(2.0)
    pair.send(2)
    pair.run(1.0)
    assert pair.one.lost() == [[1], [2]]
    assert pair.other.notes == []
    pair.network.heal()
    pair.send(3)
    pair.run(1.0)
    assert pair.other.heard() == [3]


def test_a_cut_in_one_direction_delivers_and_reports_loss() -> None:
    pair = Pair(STILL).linked()
    pair.network.cut(lambda sender, receiver: sender == pair.other.peer)
    pair.send(1)
    pair.run(2.0)
    assert pair.other.heard() == [1]
    assert pair.one.lost() == [[1]], "nobody acknowledged it"


def test_healing_one_cut_leaves_the_others() -> None:
    pair = Pair(STILL)
    first = pair.network.cut(apart([pair.one.peer]))
    pair.network.cut(apart([pair.other.peer]))
    pair.network.heal(first)
    pair.network.heal(first)
    pair.send(1)
    pair.run(2.0)
    assert pair.one.lost() == [[1]]


def test_apart_puts_peers_of_no_group_into_a_group_of_their_own() -> None:
    a, b, c, d = (peer_number(number) for number in range(4))
    cut = apart([a], [b])
    assert cut(a, b)
    assert cut(a, c)
    assert cut(c, b)
    assert not cut(c, d)
    assert not cut(a, a)


def test_what_is_sent_to_a_frozen_peer_waits_and_comes_back_as_lost() -> None:
    pair = Pair(STILL).linked()
    pair.other.is_frozen = True
    start = pair.agenda.now
    pair.send(1, 2)
    pair.run(10.0)
    assert pair.other.notes == []
    (report,) = pair.one.notes
    assert report[1:] == ("unreachable", pair.other.peer, [1, 2])
    assert report[0] - start == pytest.approx(0.01 + TIMEOUT)
    pair.thaw(pair.other)
    pair.run(0.1)
    assert pair.other.heard() == [1, 2], "it lay in its socket"


def test_a_short_freeze_costs_nothing_but_time() -> None:
    pair = Pair(STILL).linked()
    pair.other.is_frozen = True
    pair.send(1)
    pair.run(0.5)
    pair.thaw(pair.other)
    pair.run(5.0)
    pair.send(2)
    pair.run(1.0)
    assert pair.other.heard() == [1, 2]
    assert pair.one.notes == []


def test_a_frozen_dialler_learns_of_the_end_of_its_dial_when_it_runs_again() -> None:
    pair = Pair(STILL)
    pair.network.prove(pair.one, pair.other.peer)
    pair.one.is_frozen = True
    pair.run(5.0)
    assert pair.one.notes == []
    pair.thaw(pair.one)
    pair.run(0.1)
    assert [what for _, what, _, _ in pair.one.notes] == ["proven"]


def test_a_frozen_sender_learns_of_a_dead_receiver_when_it_runs_again() -> None:
    pair = Pair(STILL).linked()
    pair.end(pair.other, closes_links=False)
    pair.begin(pair.other)
    pair.send(1)
    pair.one.is_frozen = True
    pair.run(5.0)
    assert pair.one.notes == []
    pair.thaw(pair.one)
    pair.run(0.1)
    assert pair.one.lost() == [[1]]


def test_a_crash_that_closes_links_is_told_at_once_with_what_was_under_way() -> None:
    pair = Pair(STILL).linked()
    pair.send(1)
    pair.end(pair.other)
    pair.run(0.1)
    assert [number for report in pair.one.lost() for number in report] == [1]  # type: ignore[attr-defined]
    assert pair.one.notes[0][0] <= pair.agenda.now - 0.09 + 1e-9


def test_a_crash_that_closes_links_is_told_to_those_that_are_linked_and_to_nobody_else() -> None:
    pair = Pair(STILL).linked()
    stranger = pair.find(peer_number(3))
    pair.end(pair.other)
    pair.run(5.0)
    assert pair.one.lost() == [[]]
    assert stranger.notes == []


def test_a_peer_that_vanished_with_its_host_is_missed_by_whoever_sends() -> None:
    pair = Pair(STILL).linked()
    pair.end(pair.other, closes_links=False)
    pair.run(50.0)
    assert pair.one.notes == []
    start = pair.agenda.now
    pair.send(1)
    pair.run(5.0)
    (report,) = pair.one.notes
    assert report[3] == [1]
    assert report[0] - start == pytest.approx(0.01 + TIMEOUT, abs=1e-6)


def test_a_farewell_is_no_bad_news_and_what_was_left_goes_over_a_new_dial() -> None:
    pair = Pair(STILL).linked()
    pair.end(pair.other, says_so=True)
    pair.run(5.0)
    assert pair.one.notes == []
    pair.begin(pair.other)
    pair.send(1)
    pair.run(1.0)
    assert pair.other.heard() == [1]


def test_what_was_under_way_to_a_life_that_ended_comes_back_and_the_next_life_gets_what_follows() -> None:
    pair = Pair(STILL).linked()
    pair.send(1)
    pair.end(pair.other)
    pair.begin(pair.other)
    pair.run(0.5)
    pair.send(2)
    pair.run(0.5)
    assert pair.other.heard() == [2]
    assert [number for report in pair.one.lost() for number in report] == [1]  # type: ignore[attr-defined]


def test_a_host_that_came_back_refuses_a_link_of_its_former_life_at_once() -> None:
    pair = Pair(STILL).linked()
    pair.end(pair.other, closes_links=False)
    pair.begin(pair.other)
    start = pair.agenda.now
    pair.send(1)
    pair.run(0.5)
    (report,) = pair.one.notes
    assert report[3] == [1]
    assert report[0] - start == pytest.approx(0.01)


def test_a_message_of_a_dead_sender_still_arrives_and_its_loss_is_told_to_nobody() -> None:
    pair = Pair(STILL).linked()
    pair.send(1)
    pair.end(pair.one)
    pair.run(1.0)
    assert pair.other.heard() == [1]
    pair = Pair(STILL).linked()
    pair.network.cut(apart([pair.one.peer]))
    pair.send(1)
    pair.end(pair.one)
    pair.begin(pair.one)
    pair.run(9.0)
    assert pair.one.notes == []


def test_a_dial_to_nobody_fails_after_a_while_with_all_that_waited() -> None:
    pair = Pair(STILL)
    pair.end(pair.other)
    pair.send(1)
    pair.run(0.1)
    pair.send(2)
    pair.network.prove(pair.one, pair.other.peer)
    pair.run(2.0)
    assert pair.one.notes == [(0.5, "unreachable", pair.other.peer, [1, 2])]
    assert pair.network.dials == 1


@pytest.mark.parametrize(("closes_links", "seconds"), [(True, 0.02), (False, 0.5)])
def test_a_live_host_may_refuse_fast_where_told_so(closes_links: bool, seconds: float) -> None:
    pair = Pair(Conditions(latency=(0.01, 0.01), void=(0.5, 0.5), refusal=(0.02, 0.02)))
    pair.end(pair.other, closes_links=closes_links)
    pair.network.prove(pair.one, pair.other.peer)
    pair.run(2.0)
    assert [(at, what) for at, what, _, _ in pair.one.notes] == [(seconds, "unreachable")]


def test_a_proof_takes_a_handshake_and_over_a_link_one_dialled_nothing() -> None:
    pair = Pair(STILL)
    pair.network.prove(pair.one, pair.other.peer)
    pair.run(0.1)
    pair.network.prove(pair.one, pair.other.peer)
    pair.run(0.1)
    pair.network.prove(pair.other, pair.one.peer)
    pair.run(0.1)
    assert [round(at, 3) for at, _, _, _ in pair.one.notes] == [0.03, 0.1]
    assert [round(at, 3) for at, _, _, _ in pair.other.notes] == [0.23], "an inbound link proves nothing"


def test_a_link_nobody_uses_is_closed_and_dialled_anew_in_silence() -> None:
    pair = Pair(STILL).linked()
    pair.run(LINK.idle_close + 1.0)
    dials = pair.network.dials
    pair.send(1)
    pair.run(1.0)
    assert pair.other.heard() == [1]
    assert pair.network.dials == dials + 1
    assert pair.one.notes == []


def test_a_link_for_a_proof_alone_is_closed_soon() -> None:
    pair = Pair(STILL)
    pair.network.prove(pair.one, pair.other.peer)
    pair.run(0.3)
    pair.send(1)
    pair.run(1.0)
    assert pair.network.dials == 1, "used within the linger"
    pair = Pair(STILL)
    pair.network.prove(pair.one, pair.other.peer)
    pair.run(1.0)
    pair.send(1)
    pair.run(1.0)
    assert pair.network.dials == 2
    assert pair.other.heard() == [1]


def test_a_pair_may_have_conditions_of_its_own_until_told_otherwise() -> None:
    pair = Pair(STILL).linked()
    third = pair.find(peer_number(3))
    pair.network.send(pair.one, third.peer, message(0))
    pair.run(0.5)
    pair.network.set_between(pair.other.peer, pair.one.peer, Conditions(latency=(0.4, 0.4)))
    start = pair.agenda.now
    pair.send(1)
    pair.network.send(pair.one, third.peer, message(2))
    pair.run(0.5)
    pair.network.set_between(pair.one.peer, pair.other.peer, None)
    pair.send(3)
    pair.run(0.5)
    assert [round(at - start, 3) for at, _, _, _ in pair.other.notes] == [0.4, 0.51]
    assert round(third.notes[-1][0] - start, 3) == 0.01


def test_a_rule_may_say_what_the_ways_between_peers_are_like() -> None:
    pair = Pair(STILL).linked()
    far = Conditions(latency=(0.2, 0.2))
    pair.network.set_where(lambda one, other: far if other == pair.other.peer else None)
    start = pair.agenda.now
    pair.send(1)
    pair.answer(2)
    pair.run(0.5)
    assert round(pair.other.notes[-1][0] - start, 3) == 0.2
    assert round(pair.one.notes[-1][0] - start, 3) == 0.01
    pair.network.set_between(pair.one.peer, pair.other.peer, STILL)
    pair.send(3)
    pair.run(0.5)
    assert round(pair.other.notes[-1][0] - start, 3) == 0.51, "a pair set apart goes before the rule"


def test_what_is_under_way_and_what_may_be_lost_can_be_asked() -> None:
    pair = Pair(STILL).linked()
    pair.send(1)
    assert pair.network.under_way() == [(pair.other.peer, pair.one.peer, message(1))]
    assert pair.network.bad_news() == []
    pair.end(pair.other, closes_links=False)
    pair.run(0.1)
    assert pair.network.bad_news() == [(pair.one.peer, pair.other.peer)]
    assert pair.network.under_way() == [(pair.other.peer, pair.one.peer, message(1))]
    pair.run(5.0)
    assert pair.network.bad_news() == []
    assert pair.network.under_way() == []


def test_many_lanes_that_were_used_once_are_forgotten() -> None:
    pair = Pair(STILL)
    for number in range(10, 1000):
        pair.network.prove(pair.one, peer_number(number))
        pair.run(1.0)
    assert len(pair.one.lanes) < 200


@pytest.mark.parametrize(
    "wrong", [{"loss": 1.5}, {"duplication": -0.1}, {"latency": (0.2, 0.1)}, {"void": (-1.0, 1.0)}]
)
def test_impossible_conditions_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Misuse):
        Conditions(**wrong)  # type: ignore[arg-type]


def test_nothing_is_lost_without_a_word_whatever_happens() -> None:
    for seed in range(30):
        rng = Random(seed)
        pair = Pair(Conditions(loss=0.1, slow=0.1), seed=seed)
        sent, freezes, cuts = 0, False, list[int]()
        for _ in range(200):
            event = rng.random()
            if event < 0.7:
                sent += 1
                pair.send(sent)
            elif event < 0.8:
                cuts.append(pair.network.cut(apart([pair.one.peer])))
            elif event < 0.9 and cuts:
                pair.network.heal(cuts.pop())
            elif event < 0.95 and not pair.other.is_frozen:
                pair.other.is_frozen = freezes = True
            elif pair.other.is_frozen:
                pair.thaw(pair.other)
            pair.run(rng.random() * 0.5)
        pair.network.heal()
        if pair.other.is_frozen:
            pair.thaw(pair.other)
        pair.run(30.0)
        came_back = [number for report in pair.one.lost() for number in report]  # type: ignore[attr-defined]
        heard = pair.other.heard()
        assert {*came_back, *heard} == set(range(1, sent + 1)), f"seed {seed}"
        assert len(heard) == len(set(heard)), f"seed {seed}"
        assert len(came_back) == len(set(came_back)), f"seed {seed}"
        assert freezes

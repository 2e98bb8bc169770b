"""Links under real keys: who gets one, who is refused and why, and what somebody on the way can do."""

from __future__ import annotations

import msgspec
import pytest

from cicada.errors import PeerFault
from cicada.events import LinkOpened
from cicada.ids import Address
from cicada.keys.linkhandshake import LinkHandshakes
from cicada.keys.memory import Accepted
from cicada.keys.psks import PreShared, Secrets, SwarmKeys
from cicada.keys.record import read_record
from cicada.limits import KEYS, KeyLimits
from cicada.transport.linkio import Revoke
from cicada.wire.codec import decode_body, encode
from cicada.wire.frames import FrameType, Hello, encode_frame
from cicada.wire.security import Identified, Identify, LinkSecurity, Met, Unidentified
from tests.securities import identity_of, secured, secured_as
from tests.security.intruders import BorrowedKey
from tests.transport.linknet import LIMITS, SWARM, Host, Network, Stranger, address, control, data

KEY, OTHER_KEY = b"k" * 32, b"o" * 32


def closed(key: bytes = KEY) -> Secrets:
    return Secrets(SwarmKeys(key, (key,)))


def keys(number: int, secrets: Secrets | None = None, name: str = "") -> LinkHandshakes:
    own = address(number)
    return secured(own, identity=identity_of(name or own), secrets=secrets, swarm=SWARM)


def peer(
    network: Network,
    number: int,
    *,
    secrets: Secrets | None = None,
    name: str = "",
    incarnation: int = 1,
    security: LinkSecurity | None = None,
) -> Host:
    return network.host(number, incarnation=incarnation, security=security or keys(number, secrets, name))


def pair(one: Secrets | None = None, other: Secrets | None = None) -> tuple[Network, Host, Host]:
    network = Network()
    return network, peer(network, 1, secrets=one), peer(network, 2, secrets=other)


def linked(a: Host, b: Host) -> bool:
    """Whether a message gets through."""
    a.send(b, data(1))
    a.network.run(LIMITS.dial_timeout * 3)
    return data(1) in b.received


def refusals(host: Host) -> dict[str, int]:
    prefix = "refused."
    counts = host.links.counters()
    return {name.removeprefix(prefix): n for name, n in counts.items() if name.startswith(prefix)}


def shared(outbound: bytes, inbound: bytes, number: int) -> Secrets:
    return Secrets(shared=(PreShared(outbound=outbound, inbound=inbound, address=address(number)),))


def test_strangers_shake_hands_in_three_messages_and_their_frames_are_sealed() -> None:
    network, a, b = pair()
    a.send(b, data(7))
    network.settle()
    assert a.kinds() == [FrameType.HELLO, FrameType.FINISH, FrameType.DATA]
    assert b.received == [data(7)]
    assert b.events == [LinkOpened(remote=a.peer.address, dialled=False)]
    (_, sealed) = a.data_frames()[0]
    assert encode(data(7)) not in sealed.body
    assert len(sealed.body) == 12 + len(encode(data(7))) + 16


def test_a_link_that_is_kept_and_not_used_lives_through_the_change_of_its_keys() -> None:
    network, a, b = pair()
    assert linked(a, b)
    a.keep(b)
    network.run(KEYS.rekey_seconds * 3)
    assert a.count(FrameType.REKEY) >= 2
    assert b.count(FrameType.REKEY) >= 2
    assert len(a.links.snapshot().links) == 1
    assert b.links.counters().get("closed", 0) == 0


@pytest.mark.parametrize("is_linked", [True, False])
def test_who_was_proven_long_ago_is_asked_for_a_record_that_has_not_expired(is_linked: bool) -> None:
    network = Network()

    def wall_ms() -> int:
        return 1_800_000_000_000 + int(network.now * 1000)

    a, b = (peer(network, n, security=secured(address(n), swarm=SWARM, wall_ms=wall_ms)) for n in (1, 2))
    a.prove(b)
    if is_linked:
        a.send(b, data(1))
        a.keep(b)
    network.settle()
    network.run(KEYS.record_seconds)
    assert len(a.links.snapshot().links) == is_linked
    a.identities.clear()
    for _ in range(2):
        a.feed(Identify(b.peer))
        network.settle()
        (told,) = [told for told in a.identities if isinstance(told, Identified)]
        assert read_record(told.record, wall_ms(), SWARM).address == b.peer.address
        a.identities.clear()
    assert a.count(FrameType.HELLO) == 2


@pytest.mark.parametrize("is_linked", [True, False])
def test_who_was_proven_before_the_machine_slept_for_a_day_is_asked_for_a_record_at_once(
    is_linked: bool,
) -> None:
    network, asleep = Network(), [0]

    def wall_ms() -> int:
        return 1_800_000_000_000 + int(network.now * 1000) + asleep[0]

    a, b = (peer(network, n, security=secured(address(n), swarm=SWARM, wall_ms=wall_ms)) for n in (1, 2))
    a.prove(b)
    if is_linked:
        a.send(b, data(1))
    network.settle()
    asleep[0] = int(KEYS.record_seconds * 1000)
    a.identities.clear()
    a.feed(Identify(b.peer))
    network.settle()
    (told,) = [told for told in a.identities if isinstance(told, Identified)]
    assert read_record(told.record, wall_ms(), SWARM).address == b.peer.address
    assert [told.record for told in a.identities if isinstance(told, Met)] == [told.record]


def test_peers_whose_clocks_were_all_fast_link_again_when_they_are_set_right() -> None:
    network, ahead = Network(), [7_200_000]

    def wall_ms() -> int:
        return 1_800_000_000_000 + int(network.now * 1000) + ahead[0]

    a, b = (peer(network, n, security=secured(address(n), swarm=SWARM, wall_ms=wall_ms)) for n in (1, 2))
    b.prove(a)
    network.run(2 * LIMITS.idle_close)
    assert a.links.snapshot().links == b.links.snapshot().links == ()
    ahead[0] = 0
    assert linked(a, b)
    assert refusals(b)["record-stale"] == 1


def test_whoever_was_met_before_is_dialled_with_two_messages() -> None:
    network, a, b = pair()
    a.prove(b)
    network.run(LIMITS.idle_close)  # the link was for the proof only
    assert a.links.snapshot().links == ()
    a.send(b, data(1))
    network.settle()
    hellos = [decode_body(frame.body, Hello) for _, frame in a.sent if frame.type is FrameType.HELLO]
    assert [hello.pattern for hello in hellos] == ["XX", "IK"]
    assert b.received == [data(1)]


def test_no_number_of_made_up_keys_keeps_those_out_who_were_met_before() -> None:
    network = Network()
    a, security = peer(network, 1), keys(2)
    security._accepted = Accepted(KeyLimits(accepted_keys=1), is_strict=True)
    now_ms = security._memory.wall_ms()
    security._accepted.note_time(b"made up", now_ms, now_ms)
    b = peer(network, 2, security=security)
    a.prove(b)
    network.run(LIMITS.idle_close)
    assert linked(a, b)
    assert refusals(b) == {"crowded": 1}


def test_a_peer_that_came_back_with_another_key_is_dialled_afresh() -> None:
    network, a, b = pair()
    a.prove(b)
    network.run(LIMITS.idle_close)
    again = peer(network, 2, name="a new key", incarnation=2)
    a.send(again, data(1))
    network.settle()
    assert again.received == [data(1)]
    assert refusals(again) == {"static-key": 1}


def test_the_records_tell_who_lives_at_an_address() -> None:
    network, a, b = pair()
    a.feed(Identify(b.peer))
    network.settle()
    (met, identified) = a.identities
    assert isinstance(met, Met)
    assert isinstance(identified, Identified)
    assert identified.peer == b.peer
    a.feed(Identify(b.peer))
    assert a.identities[-1] == identified  # at once: the proof is kept


def test_nobody_is_identified_where_nobody_answers() -> None:
    network, a, b = pair()
    network.kill(b)
    a.feed(Identify(b.peer))
    network.settle()
    (answer,) = a.identities
    assert isinstance(answer, Unidentified)
    assert answer.peer == b.peer


def test_a_peer_that_had_dialled_is_identified_over_the_connection_dialled_back() -> None:
    network, a, b = pair()
    b.send(a, data(1))
    network.settle()
    a.feed(Identify(b.peer))
    network.settle()
    assert FrameType.PROVE in a.kinds()
    assert FrameType.HELLO not in a.kinds()
    assert isinstance(a.identities[-1], Identified)


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        (closed(OTHER_KEY), closed(), "swarm-key"),
        (None, closed(), "swarm-key"),
        (closed(), None, "pre-shared-key"),
        (None, shared(KEY, OTHER_KEY, 1), "pre-shared-key"),
        (shared(KEY, OTHER_KEY, 2), None, "pre-shared-key"),
        (shared(OTHER_KEY, KEY, 2), shared(OTHER_KEY, KEY, 1), "pre-shared-key"),
    ],
    ids=["another swarm key", "no swarm key", "a swarm key for an open swarm", "no key for a host that needs one",
         "a key that the host does not have", "outbound and inbound mixed up"],
)  # fmt: skip
def test_whoever_lacks_a_secret_is_refused_before_any_key_is_computed(
    one: Secrets | None, other: Secrets | None, reason: str
) -> None:
    _network, a, b = pair(one, other)
    assert not linked(a, b)
    assert set(refusals(b)) == {reason}
    assert b.links.snapshot().links == ()
    assert b.events == []
    assert a.unreachable[0].reason == reason


def test_a_wrong_inbound_key_fails_at_the_dialler() -> None:
    _network, a, b = pair(shared(KEY, KEY, 2), shared(OTHER_KEY, KEY, 1))
    assert not linked(a, b)
    assert refusals(b)["unfinished"] >= 1 or "seal" in refusals(b)
    assert a.unreachable[0].reason in ("seal", "timeout")


def test_keys_shared_by_address_link_two_peers() -> None:
    _, a, b = pair(shared(KEY, OTHER_KEY, 2), shared(OTHER_KEY, KEY, 1))
    assert linked(a, b)


def test_keys_shared_by_peer_id_link_two_peers_once_they_know_each_other() -> None:
    id_1, id_2 = identity_of(address(1)).peer_id, identity_of(address(2)).peer_id
    one = Secrets(shared=(PreShared(outbound=KEY, inbound=OTHER_KEY, peer_id=id_2),))
    other = Secrets(shared=(PreShared(outbound=OTHER_KEY, inbound=KEY, peer_id=id_1),))
    _, a, b = pair(one, other)
    assert not linked(a, b)  # the first handshake shows whose keys are needed, and ends there
    a.send(b, data(2))
    a.network.settle()
    assert b.received == [data(2)]


def test_a_closed_swarm_links_with_either_key_while_both_are_accepted() -> None:
    old, new = SwarmKeys(KEY, (KEY, OTHER_KEY)), SwarmKeys(OTHER_KEY, (KEY, OTHER_KEY))
    network, a, b = pair(Secrets(old), Secrets(new))
    assert linked(a, b)
    c = peer(network, 3, secrets=Secrets(new))
    assert linked(c, a)


def shake_hands(stranger: Stranger, host: Host, security: LinkHandshakes, own: Address, index: int) -> int:
    """Say HELLO and FINISH as the peer at ``own``. Returns the index that ``host`` gave out; 0: it refused."""
    hello = Hello(version=1, swarm=SWARM, dialled=host.peer.address, own=own, index=index, incarnation=5)
    hello, dial = security.dial(hello, None, True)
    stranger.dial(host)
    stranger.say(FrameType.HELLO, 0, 0, encode(hello))
    if stranger.heard[-1].type is not FrameType.WELCOME:
        return 0
    welcome = stranger.welcome()
    _, finish = dial.finish(welcome)
    stranger.say(FrameType.FINISH, welcome.index, 0, finish)
    return welcome.index


def test_an_imposter_gets_no_link_where_another_key_was_proven() -> None:
    network, a, b = pair()
    a.prove(b)
    network.settle()
    imposter = Stranger(network, 9)
    assert shake_hands(imposter, a, keys(2, name="the imposter"), b.peer.address, 50)
    assert [row for row in a.links.snapshot().links if not row.dialled] == []
    assert refusals(a) == {"unproven-key": 1}
    assert a.proven == [b.peer]
    network.settle()  # the address was dialled to see whose it is: it still is b's
    assert [record.record for record in a.identities if isinstance(record, Met)][-1] == b_record(a)
    assert linked(b, a)


def test_a_false_claim_costs_neither_a_dial_nor_the_link_with_whom_it_names() -> None:
    network, a, b = pair()
    assert linked(a, b)
    before = a.row().index
    for number in range(50, 60):
        imposter = Stranger(network, number)
        assert shake_hands(imposter, a, keys(2, name="the imposter"), b.peer.address, number)
    network.run(LIMITS.proof_linger * 2)
    assert a.row().index == before
    assert a.count(FrameType.HELLO) == 1
    assert a.count(FrameType.PING) >= 1
    assert a.unreachable == b.unreachable == []


def test_false_claims_of_others_addresses_do_not_keep_out_a_peer_that_came_back_with_another_key() -> None:
    network = Network()
    a, *others = (peer(network, number) for number in range(1, 9))
    for other in others:
        a.prove(other)
    network.run(LIMITS.proof_linger + 0.1)
    imposter = Stranger(network, 9)
    for number, other in enumerate(others[1:], 50):
        shake_hands(imposter, a, keys(number - 47, name="the imposter"), other.peer.address, number)
    b = peer(network, 2, name="a new key", incarnation=2)
    assert not b.links.snapshot().proven
    b.send(a, data(1))
    network.settle()
    b.send(a, data(2))
    network.settle()
    assert data(2) in a.received


def test_a_peer_that_died_silently_and_came_back_with_another_key_is_let_in() -> None:
    network, a, b = pair()
    assert linked(a, b)
    network.hosts.pop(b.peer.address)
    network.frozen.add(b.peer.address)
    heir = Stranger(network, 9)
    heir_keys = keys(2, name="a new key")
    assert shake_hands(heir, a, heir_keys, b.peer.address, 50)
    network.run(LIMITS.timeout_ceiling + 1)
    assert shake_hands(heir, a, heir_keys, b.peer.address, 51)
    assert [row.peer for row in a.links.snapshot().links] == [b.peer]
    assert refusals(a) == {"unproven-key": 1}


@pytest.mark.parametrize("is_finished", [True, False])
def test_an_imposter_that_was_there_first_cannot_have_the_challenge_end_elsewhere(is_finished: bool) -> None:
    """It names an index that b uses for something else, so that b knows the index of the challenge and cannot open it."""
    network, a, b = pair()
    imposter = Stranger(network, 9)
    if is_finished:
        taken = shake_hands(imposter, b, keys(9), address(9), 50)
    else:
        hello = Hello(version=1, swarm=SWARM, dialled=b.peer.address, own=address(9), index=50, incarnation=1)
        imposter.dial(b)
        imposter.say(FrameType.HELLO, 0, 0, encode(keys(9).dial(hello, None, True)[0]))
        taken = imposter.welcome().index
    assert shake_hands(imposter, a, keys(2, name="the imposter"), b.peer.address, taken)
    a.prove(b)
    network.settle()
    assert a.proven == [b.peer]
    assert linked(a, b)
    assert a.unreachable == []


def b_record(host: Host) -> bytes:
    """The first record that ``host`` was shown."""
    return next(met.record for met in host.identities if isinstance(met, Met))


def test_an_inbound_claim_without_a_proof_ends_when_the_address_proves_another_key() -> None:
    network = Network()
    a = peer(network, 1)
    claimant = peer(network, 2, name="whoever came first")
    claimant.send(a, data(1))
    network.settle()
    assert len(a.links.snapshot().links) == 1
    real = peer(network, 2, incarnation=2)
    a.prove(real)
    network.settle()
    assert a.proven == [real.peer]
    assert linked(a, real)


def test_a_link_changes_its_keys_and_nobody_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicada.transport.link.KEYS", msgspec.structs.replace(KEYS, rekey_frames=10))
    network, a, b = pair()
    for number in range(60):
        a.send(b, control(number))
        network.run(0.2)
    assert b.received == [control(number) for number in range(60)]
    assert a.count(FrameType.REKEY) >= 3
    assert [len(host.links.snapshot().links) for host in (a, b)] == [1, 1]


def test_an_altered_frame_costs_the_link_and_the_message_comes_over_the_next() -> None:
    network, a, b = pair()
    assert linked(a, b)
    (connection, frame) = a.data_frames()[0]
    a.send(b, data(2))
    bad = frame.body[:-1] + bytes([frame.body[-1] ^ 1])
    (row,) = a.links.snapshot().links
    network.transmit(a, connection, encode_frame(FrameType.DATA, frame.index, row.sent + 1, bad))
    network.run(10.0)
    assert b.received[:2] == [data(1), data(2)]
    assert b.links.counters()["faults"] == 1


def test_a_replayed_opening_is_refused_and_changes_nothing() -> None:
    network, a, b = pair()
    a.prove(b)
    network.run(LIMITS.idle_close)
    a.send(b, data(1))
    network.settle()
    opening = [frame for _, frame in a.sent if frame.type is FrameType.HELLO][-1]
    attacker = Stranger(network, 9)
    attacker.dial(b)
    before = b.links.snapshot()
    attacker.say(FrameType.HELLO, 0, 0, opening.body)
    assert attacker.refusal() == "replayed"
    assert b.links.snapshot() == before


def test_a_hello_that_was_altered_in_any_field_opens_no_link() -> None:
    network, a, b = pair()
    a.prove(b)
    network.settle()
    sent = decode_body(next(frame for _, frame in a.sent if frame.type is FrameType.HELLO).body, Hello)
    finish = next(frame for _, frame in a.sent if frame.type is FrameType.FINISH)
    attacker = Stranger(network, 9)
    changes = {"own": address(9), "index": 1234, "incarnation": 99, "noise": bytes(32)}
    for field, value in changes.items():
        attacker.dial(b)
        attacker.heard.clear()
        altered = msgspec.structs.replace(sent, **{field: value})
        attacker.say(FrameType.HELLO, 0, 0, encode(altered))
        answer = attacker.heard[-1]
        if answer.type is FrameType.WELCOME:
            index = max(b.links._core.table.half_open)
            attacker.say(FrameType.FINISH, index, 0, finish.body)
    assert b.links.snapshot().links == ()
    assert refusals(b)["seal"] + refusals(b)["low-order-point"] == len(changes)


def test_peers_that_do_not_encrypt_and_peers_that_do_refuse_each_other() -> None:
    network = Network()
    a, b = network.host(1), peer(network, 2)
    assert not linked(a, b)
    assert not linked(b, a)
    assert refusals(b) == {"encryption-required": 1}
    assert refusals(a) == {"not-encrypted": 1}


def test_whoever_lacks_the_swarm_key_uses_up_no_handshakes_of_members() -> None:
    network = Network(limits=msgspec.structs.replace(LIMITS, handshakes_per_second=3.0))
    a, b = peer(network, 1, secrets=closed()), peer(network, 2, secrets=closed())
    stranger = Stranger(network, 9)
    stranger.dial(b)
    for secrets in (Secrets(), closed(OTHER_KEY)) * 5:
        outsider = keys(9, secrets)
        hello, _ = outsider.dial(
            Hello(version=1, swarm=SWARM, dialled=b.peer.address, own=address(9), index=50, incarnation=1),
            None,
            True,
        )
        stranger.say(FrameType.HELLO, 0, 0, encode(hello), wait=0.0)
    a.send(b, data(1))
    network.settle()
    assert b.received == [data(1)]
    assert a.count(FrameType.HELLO) == 1
    assert refusals(b) == {"swarm-key": 10}


def test_half_open_handshakes_are_bounded_and_given_up() -> None:
    network = Network(limits=msgspec.structs.replace(LIMITS, half_open=4, handshakes_per_second=1000.0))
    b = peer(network, 2)
    stranger = Stranger(network, 9)
    stranger.dial(b)
    for number in range(9):
        hello, _ = keys(9).dial(
            Hello(
                version=1,
                swarm=SWARM,
                dialled=b.peer.address,
                own=address(9),
                index=50 + number,
                incarnation=1,
            ),
            None,
            True,
        )
        stranger.say(FrameType.HELLO, 0, 0, encode(hello))
    assert [frame.type for frame in stranger.heard] == [FrameType.WELCOME] * 9
    assert len(b.links.indexes()) == 4
    assert linked(peer(network, 1), b)  # who never says its last word keeps out nobody that does
    network.run(LIMITS.half_open_seconds + 1)
    assert refusals(b)["unfinished"] == 9
    assert len(b.links.indexes()) == 1


def test_whoever_fills_the_table_of_links_and_cannot_be_dialled_keeps_nobody_out() -> None:
    network = Network(limits=msgspec.structs.replace(LIMITS, max_links=4, handshakes_per_second=1000.0))
    b, kept, proven = peer(network, 2), peer(network, 3), peer(network, 4)
    for friend in (kept, proven):
        assert linked(friend, b)
    b.keep(kept)
    b.prove(proven)
    network.settle()
    stranger = Stranger(network, 9)
    for number in range(10, 20):
        own = address(number)
        security = secured(own, identity=identity_of("many"), swarm=SWARM)
        assert shake_hands(stranger, b, security, own, number)
    assert linked(peer(network, 1), b)
    assert len(b.links.snapshot().links) == 4
    rows = {row.peer for row in b.links.snapshot().links}
    assert {kept.peer, proven.peer, network.hosts[address(1)].peer} < rows


def test_a_finish_that_cannot_be_read_changes_nothing_and_the_right_one_opens_the_link() -> None:
    network, _a, b = pair()
    mine = keys(9)
    stranger = Stranger(network, 9)
    stranger.dial(b)
    hello, dial = mine.dial(
        Hello(version=1, swarm=SWARM, dialled=b.peer.address, own=address(9), index=50, incarnation=1),
        None,
        True,
    )
    stranger.say(FrameType.HELLO, 0, 0, encode(hello))
    welcome = stranger.welcome()
    _, finish = dial.finish(welcome)
    stranger.say(FrameType.FINISH, welcome.index, 0, bytes(len(finish)))
    assert b.links.snapshot().links == ()
    stranger.say(FrameType.FINISH, welcome.index, 0, finish)
    assert [row.peer for row in b.links.snapshot().links] == [stranger.peer]
    with pytest.raises(PeerFault, match="seal"):
        mine.dial(hello, None, True)[1].finish(welcome)


def test_an_own_message_sent_back_opens_nothing() -> None:
    network, a, b = pair()
    a.prove(b)
    network.settle()
    hello = next(frame for _, frame in a.sent if frame.type is FrameType.HELLO)
    attacker = Stranger(network, 9)
    attacker.dial(a)
    attacker.say(FrameType.HELLO, 0, 0, hello.body)
    assert attacker.refusal() == "unknown-address"


def test_links_of_a_secret_that_is_revoked_close_and_their_messages_go_over_new_ones() -> None:
    both = (KEY, OTHER_KEY)
    network = Network()
    mine, theirs = keys(1, closed()), keys(2, closed())
    a, b = peer(network, 1, security=mine), peer(network, 2, security=theirs)
    assert linked(a, b)
    for security in (mine, theirs):
        security.change(SwarmKeys(KEY, both))
    for security in (mine, theirs):
        security.change(SwarmKeys(OTHER_KEY, both))
    a.send(b, data(2))
    for host, security in ((a, mine), (b, theirs)):
        host.feed(Revoke(security.change(SwarmKeys(OTHER_KEY, (OTHER_KEY,)))))
    network.run(5.0)
    assert [message for message in b.received if message == data(2)] == [data(2)]
    assert a.count(FrameType.CLOSE) + b.count(FrameType.CLOSE) >= 1
    a.send(b, data(3))
    network.settle()
    assert data(3) in b.received
    assert [row.incarnation for row in b.links.snapshot().links] == [1]


def test_a_handshake_begun_with_a_revoked_secret_ends_without_a_link() -> None:
    network = Network()
    theirs = keys(2, closed())
    b = peer(network, 2, security=theirs)
    stranger, mine = Stranger(network, 9), keys(9, closed())
    hello = Hello(version=1, swarm=SWARM, dialled=b.peer.address, own=address(9), index=50, incarnation=5)
    hello, dial = mine.dial(hello, None, True)
    stranger.dial(b)
    stranger.say(FrameType.HELLO, 0, 0, encode(hello))
    welcome = stranger.welcome()
    b.feed(Revoke(theirs.change(SwarmKeys(OTHER_KEY, (OTHER_KEY,)))))
    stranger.say(FrameType.FINISH, welcome.index, 0, dial.finish(welcome)[1])
    assert b.links.snapshot().links == ()
    assert stranger.heard[-1].type is FrameType.CLOSE


def test_a_record_that_the_other_side_refuses_costs_the_link_and_says_why() -> None:
    network = Network()
    liar = secured_as(BorrowedKey, address(1), swarm=SWARM)
    liar.lender = identity_of("somebody else").static.public
    a, b = peer(network, 1, security=liar), peer(network, 2)
    a.send(b, data(1))
    network.settle()
    assert b.received == []
    assert b.links.snapshot().links == a.links.snapshot().links == ()
    assert refusals(b) == {"record-key": 1}
    assert [report.reason for report in a.unreachable] == ["record-key"]

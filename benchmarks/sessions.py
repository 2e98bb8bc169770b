"""What sessions cost at their two ends: agreeing on one, and sealing and opening a message and its ack.

Processor time of one process, so that other programs on the machine count little. What a relay does is in ``benchmarks.relay``.

    python -m benchmarks.sessions [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import time

from cicada.ids import Peer, canonical_address, peer_at, place_to_bytes
from cicada.keys.identity import Identity
from cicada.keys.io import Answer, Answered, Complete, Opening, Prepare, SessionKeys, SessionReady
from cicada.keys.memory import Memory
from cicada.keys.negotiator import Negotiator
from cicada.keys.pins import USER, Pin
from cicada.keys.trust import Trust, TrustStore
from cicada.limits import DELIVERY, KeyLimits
from cicada.routing.arrivals import digest_of
from cicada.routing.sessions import ACK, DATA, Session, Sessions
from cicada.wire.routed import Contact
from cicada.wire.sealed import AckBody, DataBody, decode_sealed, encode_body

UNLIMITED = KeyLimits(
    try_rate=1e9,
    try_burst=1 << 30,
    accept_rate=1e9,
    accept_burst=1 << 30,
    accept_key_rate=1e9,
    accept_key_burst=1 << 30,
)
SIZES = (64, 1024, 32_000)
ONE, OTHER = (peer_at(canonical_address("127.0.0.1", port)) for port in (20000, 20001))


def negotiator(own: Peer, identity: Identity, other: Peer, its: Identity) -> Negotiator:
    """One that has pinned the other."""
    entropy = random.SystemRandom()
    pin = Pin(address=other.address, signing_key=its.signing_public, static_key=its.static.public, by=USER)
    memory = Memory(
        own,
        identity,
        swarm="",
        wall_ms=lambda: time.time_ns() // 1_000_000,
        trust=TrustStore.load([pin]),
        limits=UNLIMITED,
    )
    return Negotiator(memory, 1, entropy=entropy)


def handshakes(rounds: int) -> tuple[dict[str, float], tuple[SessionKeys, SessionKeys]]:
    """Microseconds of each step, and the keys of the last session."""
    first, second = (Identity.generate(random.SystemRandom()) for _ in range(2))
    one, other = negotiator(ONE, first, OTHER, second), negotiator(OTHER, second, ONE, first)
    spent = {"opening": 0.0, "answering": 0.0, "completing": 0.0}
    keys: list[SessionKeys] = []
    for now in map(float, range(rounds)):  # first contacts are limited by the second
        times = [time.process_time()]
        (opening,) = one.handle(Prepare(OTHER.place, OTHER.address), now)
        times.append(time.process_time())
        answered = other.handle(Answer(contact(opening)), now)[0]
        times.append(time.process_time())
        if not isinstance(answered, Answered) or answered.keys is None:
            raise RuntimeError(f"the handshake was refused: {answered}")
        ready = one.handle(Complete(OTHER.place, OTHER.address, answered.reply.handshake), now)[-1]
        times.append(time.process_time())
        if not isinstance(ready, SessionReady):
            raise RuntimeError(f"the answer was refused: {ready}")
        keys = [ready.keys, answered.keys]
        for step, began, ended in zip(spent, times, times[1:], strict=False):
            spent[step] += ended - began
    return {step: seconds / rounds * 1e6 for step, seconds in spent.items()}, (keys[0], keys[1])


def contact(opening: object) -> Contact:
    """Message 1 as it arrives."""
    if not isinstance(opening, Opening):
        raise RuntimeError(f"no handshake was opened: {opening}")
    return Contact(
        target=place_to_bytes(OTHER.place),
        origin=ONE.address,
        hops=1,
        request=1,
        selector=opening.selector,
        handshake=opening.handshake,
    )


def messages(keys: tuple[SessionKeys, SessionKeys], size: int, rounds: int) -> float:
    """Microseconds for a message of that many bytes and its ack, both ends together."""
    here, there = (
        Sessions(peer, 1, DELIVERY).add(one, 0.0) for peer, one in zip((ONE, OTHER), keys, strict=True)
    )
    payload = bytes(size)
    began = time.process_time()
    for number in range(rounds):
        round_trip(here, there, number, payload)
    return (time.process_time() - began) / rounds * 1e6


def round_trip(here: Session, there: Session, number: int, payload: bytes) -> None:
    """One message and its ack."""
    letter = DataBody(origin_boot=1, message=number, boot=1, payload=payload)
    counter, sealed = here.seal(DATA, 1, encode_body(letter))
    got = decode_sealed(there.open(DATA, 1, counter, sealed), DataBody)
    word = AckBody(
        message=number, counter=counter, status=1, boot=1, digest=digest_of(got.payload), data_hops=3
    )
    counter, sealed = there.seal(ACK, 1, encode_body(word))
    decode_sealed(here.open(ACK, 1, counter, sealed), AckBody)


def plain() -> tuple[SessionKeys, SessionKeys]:
    """A session without keys."""

    def half(peer: Peer, index: int, remote: int) -> SessionKeys:
        return SessionKeys(
            peer=peer,
            boot=1,
            index=index,
            remote_index=remote,
            initiated=True,
            verified=True,
            trust=Trust.UNVERIFIED,
        )

    return half(OTHER, 1, 2), half(ONE, 2, 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Microseconds that sessions cost at their ends.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rounds")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    options = parser.parse_args()
    rounds = 100 if options.quick else 1000
    steps, keys = handshakes(rounds)
    sizes = {
        size: {"sealed": messages(keys, size, rounds * 3), "plain": messages(plain(), size, rounds * 3)}
        for size in SIZES
    }
    if options.json:
        print(json.dumps({"handshake_us": steps, "message_and_ack_us": sizes}, indent=2))
        return
    print("handshake, us:", ", ".join(f"{step} {spent:.0f}" for step, spent in steps.items()))
    for size, costs in sizes.items():
        print(f"{size:6} bytes and ack, us: sealed {costs['sealed']:.1f}, in clear {costs['plain']:.1f}")


if __name__ == "__main__":
    main()

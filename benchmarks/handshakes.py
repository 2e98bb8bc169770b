"""Microseconds of handshakes, records, sealing and opening, on one core.

    python -m benchmarks.handshakes [--quick] [--json] [--repeat N]

A handshake counts both sides and making their ephemeral keys. Figures are processor time, the least and the median of the
repeats: other programs lengthen them less than they lengthen the wall clock's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from cicada.errors import PeerFault
from cicada.ids import Address
from cicada.keys import aead
from cicada.keys.ciphers import LinkCipher, SessionCipher
from cicada.keys.identity import SIGNATURE_BYTES, Identity, verify
from cicada.keys.noise import Handshake, KeyPair
from cicada.keys.psks import PreShared, Secrets, SwarmKeys, Use
from cicada.keys.record import read_record, sign_record

PATTERNS = ("XX", "XXpsk0", "XXpsk0+psk3", "IK", "IKpsk0", "IKpsk0+psk2")
SIZES = (64, 330, 1024, 32 * 1024)
NOW_MS = 1_790_000_000_000
ADDRESS = Address("192.0.2.7:50000")
HEADER = bytes(13)
SHARED_PEERS = 1000

Work = Callable[[], object]
rng = Random(1)


def handshake(pattern: str) -> Work:
    """Both sides of one, from fresh ephemeral keys to the keys that follow it."""
    statics = [KeyPair.of(rng.randbytes(32)) for _ in range(2)]
    psks = tuple(rng.randbytes(32) for _ in range(pattern.count("psk")))

    def work() -> None:
        sides = [
            Handshake(
                pattern,
                initiator=is_initiator,
                prologue=b"benchmark",
                ephemeral=KeyPair.of(rng.randbytes(32)),
                static=statics[not is_initiator],
                remote_static=statics[1].public if is_initiator and pattern.startswith("IK") else b"",
                psks=psks,
            )
            for is_initiator in (True, False)
        ]
        turn = 0
        while not sides[0].is_finished:
            sides[1 - turn].read(sides[turn].write(b"payload"))
            turn = 1 - turn
        for side in sides:
            side.split()

    return work


def records() -> Iterator[tuple[str, Work]]:
    identity = Identity.generate(rng)
    record = sign_record(identity, ADDRESS, "swarm", NOW_MS, NOW_MS)
    body = record[SIGNATURE_BYTES:]
    signature = identity.sign(body)
    yield "record, sign", lambda: sign_record(identity, ADDRESS, "swarm", NOW_MS, NOW_MS)
    yield "record, verify the signature", lambda: verify(identity.signing_public, body, signature)
    yield "record, read one verified before", lambda: read_record(record, NOW_MS, "swarm")


def selectors() -> Iterator[tuple[str, Work]]:
    """What it costs to refuse a stranger, and who shares keys with a thousand peers."""
    ephemeral, swarm = rng.randbytes(32), rng.randbytes(32)
    few = Secrets(SwarmKeys(swarm, (swarm,)))
    shared = tuple(
        PreShared(outbound=rng.randbytes(32), inbound=rng.randbytes(32), peer_id=rng.randbytes(32).hex())
        for _ in range(SHARED_PEERS)
    )
    many = Secrets(SwarmKeys(swarm, (swarm,)), shared)
    for name, secrets in (("selector, swarm key", few), (f"selector, {SHARED_PEERS:,} shared by id", many)):
        yield name, partial(_refused, secrets, ephemeral)


def _refused(secrets: Secrets, ephemeral: bytes) -> None:
    try:
        secrets.find(Use.LINK, bytes(8), ephemeral, ADDRESS)
    except PeerFault:
        return


def sealing(size: int) -> Iterator[tuple[str, Work]]:
    key, text = rng.randbytes(32), rng.randbytes(size)
    backends: list[tuple[str, aead.Seal, aead.Seal]] = [("pynacl", aead.seal_by_nacl, aead.open_by_nacl)]
    if aead.seal is not aead.seal_by_nacl:
        backends.append(("cryptography", aead.seal, aead.open_sealed))
    for name, seal, open_sealed in backends:
        sealed = seal(key, 1, HEADER, text)
        yield f"seal {size:,} B, {name}", partial(seal, key, 1, HEADER, text)
        yield f"open {size:,} B, {name}", partial(open_sealed, key, 1, HEADER, sealed)


def ciphers(size: int) -> Iterator[tuple[str, Work]]:
    """Seal and open, with counters and windows."""
    keys = [rng.randbytes(32) for _ in range(2)]
    text = rng.randbytes(size)
    ours, theirs = SessionCipher(*keys), SessionCipher(*reversed(keys))
    link, far = LinkCipher(*keys, *keys), LinkCipher(*keys[::-1], *keys[::-1])
    counters = iter(range(1 << 62))

    def session() -> bytes:
        counter, sealed = ours.seal(HEADER, text)
        return theirs.open(counter, HEADER, sealed)

    def both_ends() -> bytes:
        counter = next(counters)
        return far.open(counter, HEADER, link.seal(counter, HEADER, text))

    yield f"session {size:,} B, seal and open", session
    yield f"link {size:,} B, seal and open", both_ends


def works() -> Iterator[tuple[str, Work]]:
    """All that is measured, by name."""
    for pattern in PATTERNS:
        yield f"handshake {pattern}", handshake(pattern)
    yield from records()
    yield from selectors()
    for size in SIZES:
        yield from sealing(size)
    for size in SIZES:
        yield from ciphers(size)


def microseconds(work: Work, repeat: int, seconds: float) -> list[float]:
    """Of one call, in each of the repeats."""
    work()
    began = time.process_time()
    work()
    calls = max(1, int(seconds / max(time.process_time() - began, 1e-6)))
    taken = []
    for _ in range(repeat):
        began = time.process_time()
        for _ in range(calls):
            work()
        taken.append((time.process_time() - began) / calls * 1e6)
    return taken


def main() -> None:
    """Measure everything and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short repeat, to see that it runs")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    repeat, seconds = (1, 0.005) if options.quick else (options.repeat, 0.05)
    rows = {name: microseconds(work, repeat, seconds) for name, work in works()}
    if options.json:
        print(json.dumps({"microseconds": rows}))
        return
    print(f"{'microseconds of processor time':40} {'least':>9} {'median':>9}")
    for name, taken in rows.items():
        print(f"{name:40} {min(taken):>9.1f} {statistics.median(taken):>9.1f}")


if __name__ == "__main__":
    main()

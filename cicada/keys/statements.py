"""Signed statements about broadcasts: what their origins said, and who took them.

A signature covers the purpose, the swarm's name, the signer's record and a hash of what is stated. The record comes along, so that
anybody can check it who never met the signer. That pins nobody: only dialling proves an address.
"""

from __future__ import annotations

from cicada.errors import PeerFault
from cicada.keys.hidden import homes_in
from cicada.keys.identity import verify
from cicada.keys.io import CheckStatement, Purpose, SignStatement, StatementChecked, StatementSigned
from cicada.keys.memory import Memory, digest_of


def sign(memory: Memory, asked: SignStatement) -> StatementSigned:
    """Sign it with the peer's key. Some 25 us."""
    record = memory.own_record.raw()
    signature = memory.identity.sign(_covered(asked.purpose, memory.swarm, record, asked.digest))
    return StatementSigned(asked.ticket, record, signature)


def check(memory: Memory, asked: CheckStatement) -> StatementChecked:
    """Whether it is authentic. Some 45 us, and as much for a record that this process has not seen.

    Reasons are those of ``read_record``, ``record-address``, ``signature``, and those of TrustStore.check: ``key-changed``
    when another key is pinned to the address.
    """
    now_ms = memory.wall_ms()
    try:
        record = memory.read(asked.record, asked.origin)
        covered = _covered(asked.purpose, memory.swarm, asked.record, asked.digest)
        verify(record.signing_key, covered, asked.signature)
        memory.trust.check(record)
    except PeerFault as fault:
        return StatementChecked(ticket=asked.ticket, reason=fault.reason, wall_ms=now_ms)
    trust = memory.trust.trust(asked.origin)
    return StatementChecked(
        ticket=asked.ticket,
        reason="",
        wall_ms=now_ms,
        trust=trust,
        peer_id=record.peer_id,
        origin=asked.origin,
        homes=homes_in(record, memory.swarm, now_ms),
    )


def _covered(purpose: Purpose, swarm: str, record: bytes, digest: bytes) -> bytes:
    return purpose.value + digest_of(swarm.encode(), record, digest)

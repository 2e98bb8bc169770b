"""What an application sends, on its way to the actors of its peer."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import msgspec
from msgspec.structs import replace

from cicada.actors.family import Submit
from cicada.actors.hosted import HostedPeer
from cicada.actors.mailbox import HostPort, Message
from cicada.actors.receipt import Receipt, failed
from cicada.errors import DeliveryTimeout, MailboxFull, Misuse, NotBound, PayloadTooLarge
from cicada.ids import Address, Place
from cicada.keys.trust import Trust
from cicada.limits import DELIVERY, WIRE
from cicada.routing.io import Reason
from cicada.routing.mailstore import ERROR
from cicada.targets import Target, peer_meant, place_within, resolved
from cicada.wire.services import ENVELOPE, Reply, Service, encode_service

WAIT: Final = "wait"


class How(msgspec.Struct, frozen=True, kw_only=True):
    """How a message is to be sent, and for whom at its destination it is."""

    timeout: float = DELIVERY.timeout
    copies: int = 0
    require: Trust = Trust.UNVERIFIED
    ordered: bool = False
    patient: bool = True
    service: Service = Service.APPLICATION


def copies_of(duplicates: int | None) -> int:
    """How many copies leave with each attempt; 0: as many as it takes. Raises Misuse."""
    copies = 0 if duplicates is None else duplicates + 1
    if duplicates is not None and not 1 <= copies <= DELIVERY.copies_max:
        raise Misuse(f"duplicates={duplicates} is out of range: use 0 to {DELIVERY.copies_max - 1}")
    return copies


def is_patient(on_full: str) -> bool:
    """Whether a message waits while the destination's mailbox is full. Raises Misuse."""
    if on_full not in (WAIT, ERROR):
        raise Misuse(f"on_full={on_full!r} means nothing: use {WAIT!r} or {ERROR!r}")
    return on_full == WAIT


def payload_of(data: bytes | str, most: int = WIRE.max_message, what: str = "message") -> bytes:
    """The bytes to send. Raises PayloadTooLarge when they are more than ``most``."""
    payload = data.encode() if isinstance(data, str) else bytes(data)
    if len(payload) > most:
        raise PayloadTooLarge(len(payload), most, what)
    return payload


def submit(
    hosted: HostedPeer, target: Target, payload: bytes, how: How, receipt: Receipt | None = None
) -> Receipt:
    """Send. Raises Misuse for what is no target, and MailboxFull when this process has more on its way than it can carry."""
    peer = None if isinstance(target, int) else peer_meant(target)
    place = place_within(target) if isinstance(target, int) else None if peer is None else peer.place
    hosted.reserve(len(payload))
    submission = Submit(
        place=place or Place(0),
        address=Address("") if peer is None else peer.address,
        payload=payload,
        copies=how.copies,
        deadline=hosted.now() + how.timeout,
        require=how.require,
        ordered=how.ordered,
        receipt=Receipt() if receipt is None else receipt,
        patient=how.patient,
        service=how.service,
    )
    if place is not None:
        hosted.tell(submission)
    else:
        hosted.spawn(_submit_resolved(hosted, target, submission, how.timeout))
    return submission.receipt


async def request(hosted: HostedPeer, target: Target, data: bytes | str, how: How) -> Message:
    """As SwarmPeer.request promises it."""
    payload = payload_of(data, WIRE.max_message - ENVELOPE, "request")
    ends = hosted.now() + how.timeout
    place, meant = await _placed(target, how.timeout)
    left = max(ends - hosted.now(), 0.0)
    how = replace(how, timeout=left)
    return await hosted.requests.ask(place, payload, left, lambda raw: submit(hosted, meant, raw, how))


def reply(
    hosted: HostedPeer, source: HostPort, number: int | None, data: bytes | str, timeout: float
) -> Receipt:
    """As Message.reply promises it: to request ``number`` of ``source``, or to a message of no number. In any thread."""
    hosted.ownership.check_process()
    if hosted.ended:
        raise NotBound("the peer that received the message is closed: nothing can be sent from it")
    if number is None:
        payload, how = payload_of(data), How(timeout=timeout)
    else:
        fitting = payload_of(data, WIRE.max_message - ENVELOPE, "reply")
        payload = encode_service(Reply(number=number, data=fitting))
        how = How(timeout=timeout, service=Service.REPLY)
    if hosted.ownership.is_here:
        return submit(hosted, source, payload, how)
    receipt = Receipt()
    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        hosted.ownership.loop.call_soon_threadsafe(_submit_for_thread, hosted, source, payload, how, receipt)
        return receipt
    raise NotBound("the peer that received the message is closed: nothing can be sent from it")


def _submit_for_thread(
    hosted: HostedPeer, source: HostPort, payload: bytes, how: How, receipt: Receipt
) -> None:
    """What cannot be raised in the thread that sends, its receipt says."""
    try:
        submit(hosted, source, payload, how, receipt)
    except MailboxFull:
        receipt.settle(failed(0, Reason.OVERLOADED))


async def _placed(target: Target, timeout: float) -> tuple[Place, Target]:
    """The place of a target, and the target without a name of a host."""
    if isinstance(target, int):
        return place_within(target), target
    try:
        async with asyncio.timeout(timeout):
            peer = await resolved(target)
    except TimeoutError:
        raise DeliveryTimeout(f"the name of the host was not resolved within {timeout} s") from None
    return peer.place, HostPort.of(peer.address)


async def _submit_resolved(hosted: HostedPeer, target: Target, submission: Submit, timeout: float) -> None:
    """Whatever happens meanwhile, its receipt settles."""
    try:
        async with asyncio.timeout(timeout):
            peer = await resolved(target)  # type: ignore[arg-type]  # places need none
    except Misuse:
        hosted.fail_unresolved(submission)
    except TimeoutError:
        hosted.fail_unresolved(submission, Reason.TIMED_OUT)
    except asyncio.CancelledError:  # the host ends
        hosted.fail_unresolved(submission, Reason.CLOSED)
        raise
    else:
        hosted.tell(replace(submission, place=peer.place, address=peer.address))

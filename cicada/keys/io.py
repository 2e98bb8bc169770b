"""Inputs and outputs of negotiators: two closed families. What is for a Router, or comes from one, is its own output or
input too, so that nothing is wrapped twice on its way."""

from __future__ import annotations

import enum

import msgspec

from cicada.events import KeyEvent
from cicada.ids import Address, Peer, Place
from cicada.keys.ciphers import PlainSession, SessionCipher
from cicada.keys.pins import Pin
from cicada.keys.trust import Trust
from cicada.wire.routed import Contact, ContactReply, GetRecord, RecordIs
from cicada.wire.security import Identified, Identify, Met, Unidentified

# From a Router


class Prepare(msgspec.Struct, frozen=True):
    """A session with the peer at ``place`` is wanted, whose ``address`` may be known (else empty). Answered by Opening or
    Refused, when its turn comes; asked again meanwhile, it changes nothing. ``is_renewal``: there is one already, so that it
    is no first contact, and waits for none."""

    place: Place
    address: Address
    is_renewal: bool = False


class Abandon(msgspec.Struct, frozen=True):
    """Nobody waits any more for what was prepared. ``is_denied``: because nobody lives at ``place``."""

    place: Place
    is_denied: bool = False


class Complete(msgspec.Struct, frozen=True):
    """Message 2 came from the peer that calls itself ``origin``. Answered by SessionReady, by Refused, or not at all when it
    is not authentic."""

    place: Place
    origin: Address
    handshake: bytes


class Answer(msgspec.Struct, frozen=True):
    """Message 1 came, over the link with ``link`` (None: over one with a relay of this hidden peer). Answered by Answered, or not
    at all."""

    contact: Contact
    link: Peer | None = None


class AnswerRecord(msgspec.Struct, frozen=True):
    """Somebody asks for a record. Answered by Reply."""

    question: GetRecord


class Told(msgspec.Struct, frozen=True):
    """What one peer says: the record it has of a place, or empty, and a succession from the place itself."""

    origin: Address
    record: bytes
    succession: bytes


class RecordsFetched(msgspec.Struct, frozen=True):
    """Answer to FetchRecords: what came in time, of at least ``wanted`` neighbours when nothing was lost."""

    place: Place
    told: tuple[Told, ...]
    wanted: int


class Purpose(enum.Enum):
    """What a statement is for. Its text goes into the signature, so that one for one purpose is worth nothing for another."""

    BROADCAST = b"cicada-broadcast-1"  # the origin's: this is what I said
    TAKEN = b"cicada-broadcast-taken-1"  # a receiver's: I took it
    CHANNEL = b"cicada-channel-1"  # the origin's: this is what I published in a channel


class SignStatement(msgspec.Struct, frozen=True):
    """Sign a hash with the peer's own key. Answered by StatementSigned."""

    ticket: int
    purpose: Purpose
    digest: bytes


class CheckStatement(msgspec.Struct, frozen=True, kw_only=True):
    """Did the peer at ``origin`` sign this hash, with the key in ``record``? Answered by StatementChecked."""

    ticket: int
    purpose: Purpose
    digest: bytes
    origin: Address
    record: bytes
    signature: bytes


class Vouch(msgspec.Struct, frozen=True):
    """Sign that this peer passes on what is for the hidden one. Answered by Vouched."""

    ticket: int
    lodger: Address


class Lodge(msgspec.Struct, frozen=True):
    """This peer is hidden and its relays signed these: put them into its record. Answered by RecordSigned."""

    vouchers: tuple[bytes, ...]


class KeepRecord(msgspec.Struct, frozen=True):
    """Keep the record of a hidden peer, for those who ask. Answered by RecordKept if it is authentic and not older than one that
    is kept, else not at all."""

    ticket: int
    record: bytes


# From links


class LinksChanged(msgspec.Struct, frozen=True):
    """Other links are at work: they know nothing of what the last ones were asked."""


class TimerFired(msgspec.Struct, frozen=True):
    """``next_deadline()`` may have passed."""


NegotiatorInput = (
    Prepare
    | Abandon
    | Complete
    | Answer
    | AnswerRecord
    | RecordsFetched
    | SignStatement
    | CheckStatement
    | Vouch
    | Lodge
    | KeepRecord
    | Identified
    | Unidentified
    | Met
    | LinksChanged
    | TimerFired
)


# To a Router


class Opening(msgspec.Struct, frozen=True):
    """Message 1 for the peer at ``place``: to be sent, the same bytes again and again, until message 2 comes. ``homes``: where
    that peer lodges, when nobody can dial it."""

    place: Place
    selector: bytes
    handshake: bytes
    homes: tuple[Address, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """No session with ``place``. ``reason``: ``key-changed`` and ``conflict`` are final, others may pass."""

    place: Place
    reason: str


class SessionKeys(msgspec.Struct, frozen=True, kw_only=True):
    """A session with ``peer`` in its life ``boot``. ``index`` is this side's, ``remote_index`` the other's.

    ``verified``: the key is known to be that of the peer's address, so this side may send messages of its own.
    ``conflict``: neighbours of the peer named another key. ``peer_id``: whose key was proven. It and
    the keys are empty between peers that do not encrypt; its ``repr`` shows none.
    """

    peer: Peer
    boot: int
    index: int
    remote_index: int
    initiated: bool
    verified: bool
    trust: Trust
    conflict: bool = False
    peer_id: str = ""
    seal_key: bytes = b""
    open_key: bytes = b""

    def cipher(self) -> SessionCipher | PlainSession:
        """A new cipher. Only one may ever be made: two would use the same counters."""
        return SessionCipher(self.seal_key, self.open_key) if self.seal_key else PlainSession()

    def __repr__(self) -> str:
        return f"SessionKeys({self.peer.address}, index={self.index}, {self.trust.word})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """msgspec's own would show every field in a traceback that Rich formats."""
        return [("peer", self.peer), ("index", self.index), ("trust", self.trust)]


class SessionReady(msgspec.Struct, frozen=True):
    """The session that this side opened is there."""

    keys: SessionKeys


class Answered(msgspec.Struct, frozen=True):
    """Message 2, to be sent; and the session that the other side opened, unless this answers a message 1 that came twice.
    ``homes``: where that one lodges, when nobody can dial it."""

    reply: ContactReply
    keys: SessionKeys | None
    homes: tuple[Address, ...] = ()


class Reply(msgspec.Struct, frozen=True):
    """An answer to be sent."""

    message: RecordIs


class FetchRecords(msgspec.Struct, frozen=True):
    """Ask neighbours of ``place``, and whoever lives there, for its record. Answered by RecordsFetched. ``is_hidden``: nobody can
    be dialled there, so those after it have it."""

    place: Place
    is_hidden: bool = False


class StatementSigned(msgspec.Struct, frozen=True):
    """The signature, and the record of who signed."""

    ticket: int
    record: bytes
    signature: bytes


class StatementChecked(msgspec.Struct, frozen=True, kw_only=True):
    """``reason`` is empty when the statement is authentic: then ``peer_id`` signed it, and ``trust`` says how sure it is that
    this is the peer at the address. Nothing was pinned. ``wall_ms`` is the time by this peer's wall clock. ``homes``: where
    ``origin``, who signed it, lodges, if it is hidden."""

    ticket: int
    reason: str
    wall_ms: int
    trust: Trust = Trust.UNVERIFIED
    peer_id: str = ""
    origin: Address = Address("")
    homes: tuple[Address, ...] = ()


class Vouched(msgspec.Struct, frozen=True):
    """The voucher that was asked for."""

    ticket: int
    voucher: bytes


class RecordKept(msgspec.Struct, frozen=True):
    """The record of the hidden peer at ``place`` is kept, which says that it lodges at ``homes``."""

    ticket: int
    place: Place
    homes: tuple[Address, ...]


class RecordSigned(msgspec.Struct, frozen=True):
    """This peer's record, with the vouchers of its relays."""

    record: bytes


RouterBound = (
    Opening
    | Refused
    | SessionReady
    | Answered
    | Reply
    | FetchRecords
    | StatementSigned
    | StatementChecked
    | Vouched
    | RecordSigned
    | RecordKept
)


# To links, and to whoever watches


class PinLearned(msgspec.Struct, frozen=True):
    """A pin is new or changed: whoever keeps them should keep this one. ``succeeds``: the signing key pinned before, whose
    holder signed the new one; empty otherwise."""

    pin: Pin
    succeeds: bytes = b""


class NotTaken(msgspec.Struct, frozen=True):
    """Somebody's message 1 was not taken. Nothing but counters changed."""

    reason: str


class Emit(msgspec.Struct, frozen=True):
    """Tell whoever watches."""

    event: KeyEvent


NegotiatorOutput = RouterBound | Identify | PinLearned | NotTaken | Emit

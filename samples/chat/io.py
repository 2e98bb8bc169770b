"""What goes into the messenger's rules and what comes out of them."""

from __future__ import annotations

import msgspec

from samples.chat.wire import InChannel, Whispered

# Inputs


class Typed(msgspec.Struct, frozen=True):
    """The user entered a line."""

    line: str


class Turned(msgspec.Struct, frozen=True):
    """The user goes on by so many conversations."""

    by: int


class Chosen(msgspec.Struct, frozen=True):
    """The user wants to see the conversation with this number, from 0."""

    index: int


class Began(msgspec.Struct, frozen=True):
    """The peer is bound: enter the swarm of the first of these members that lets it in, then be in these channels."""

    seeds: tuple[tuple[str, int], ...]
    channels: tuple[str, ...]


class Where(msgspec.Struct, frozen=True):
    """The peer's address and how many others it knows."""

    address: str
    peers: int


class Connected(msgspec.Struct, frozen=True):
    """A Connect ended. ``problem``: why it failed, or empty."""

    at: str
    problem: str = ""


class Named(msgspec.Struct, frozen=True):
    """A Register ended. ``peer_id``: this peer's own; ``taken``: another has the name."""

    name: str
    peer_id: str = ""
    problem: str = ""
    taken: bool = False


class Entered(msgspec.Struct, frozen=True):
    """An Enter ended; with a problem the peer goes on trying."""

    channel: str
    problem: str = ""


class FromChannel(msgspec.Struct, frozen=True):
    """Bytes that the peer with this id published and signed."""

    channel: str
    peer_id: str
    data: bytes


class Direct(msgspec.Struct, frozen=True):
    """Bytes that the peer with this id sent to this one."""

    peer_id: str
    data: bytes


class Settled(msgspec.Struct, frozen=True):
    """What became of the message of that number. ``peer_id``: who got a private one."""

    number: int
    problem: str = ""
    peer_id: str = ""


class Found(msgspec.Struct, frozen=True):
    """Whose a name is: a peer id, or empty for nobody's. ``problem``: it is not known."""

    name: str
    owner: str = ""
    problem: str = ""


class Told(msgspec.Struct, frozen=True):
    """Lines for the user: the answer to TellStats."""

    lines: tuple[str, ...]


class Ticked(msgspec.Struct, frozen=True):
    """Time went on."""


Input = (
    Typed
    | Turned
    | Chosen
    | Began
    | Where
    | Connected
    | Named
    | Entered
    | FromChannel
    | Direct
    | Settled
    | Found
    | Told
    | Ticked
)

# Outputs


class Connect(msgspec.Struct, frozen=True):
    """Enter the swarm of the first of these that lets this peer in; Connected."""

    seeds: tuple[tuple[str, int], ...]


class Register(msgspec.Struct, frozen=True):
    """Make the name this peer's; Named."""

    name: str


class Enter(msgspec.Struct, frozen=True):
    """Be in the channel; Entered, and FromChannel until Exit."""

    channel: str


class Exit(msgspec.Struct, frozen=True):
    """Leave the channel, after what was published in it."""

    channel: str


class Publish(msgspec.Struct, frozen=True):
    """Publish in the channel; Settled, unless the number is 0."""

    channel: str
    message: InChannel
    number: int = 0


class Whisper(msgspec.Struct, frozen=True):
    """Send to the owner of the name and nobody else; Settled."""

    number: int
    to: str
    message: Whispered


class LookUp(msgspec.Struct, frozen=True):
    """Ask the directory whose the name is; Found."""

    name: str


class TellStats(msgspec.Struct, frozen=True):
    """Say what the peer did; Told."""


class Close(msgspec.Struct, frozen=True):
    """Give the name back, leave, and end."""

    name: str


Output = Connect | Register | Enter | Exit | Publish | Whisper | LookUp | TellStats | Close

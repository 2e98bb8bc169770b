"""The helper process: ``python -m cicada.nat.helper [LIMITS [leave]]``, these as JSON.

Requests come in at standard input, answers go out at standard output. It is a process of its own because what it calls may
block without end, can be ended only with its process, and breaks past descriptor 1023. It ends when its standard input does,
that is when its owner does, by whatever signal; mappings that the owner left behind it deletes first, unless told to leave them.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
from typing import Final

import msgspec

from cicada.limits import MIB, NAT, NatLimits
from cicada.nat import natpmp, pcp
from cicada.nat.client import Client
from cicada.nat.frames import BrokenPipe, read_frame, write_frame
from cicada.nat.gateway import find_gateway
from cicada.nat.requests import (
    LEAVE,
    Announced,
    AnyAnswer,
    AnyRequest,
    Asked,
    Failed,
    Granted,
    Said,
    Target,
    Unmap,
    Unmapped,
)

_STDIN: Final = 0
_MEMORY: Final = 512 * MIB  # a router may send a description without end


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner decides when it ends
    _limit_memory()
    limits = msgspec.json.decode(sys.argv[1], type=NatLimits) if sys.argv[1:] else NAT
    out = _Output()
    requests: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests, limits), name="requests", daemon=True).start()
    threading.Thread(target=_listen, args=(out, limits), name="announcements", daemon=True).start()
    client, standing = Client(limits), Standing()
    while (asked := requests.get()) is not None:
        answer = _carry_out(client, asked.request)
        standing.note(asked.request, answer)
        out.write(Said(asked.id, answer))
    if LEAVE not in sys.argv[2:]:
        for target in standing.targets():
            _carry_out(client, Unmap(target=target))
    os._exit(0)  # what listens for announcements never ends


class Standing:
    """The mappings that stand, by the answers of routers."""

    def __init__(self) -> None:
        self._targets: dict[tuple[str, str, str, int], Target] = {}

    def note(self, request: AnyRequest, answer: AnyAnswer) -> None:
        """This was answered to that."""
        if isinstance(answer, Granted):
            self._targets[_name(answer.target)] = answer.target
        elif isinstance(request, Unmap) and isinstance(answer, Unmapped):
            self._targets.pop(_name(request.target), None)

    def targets(self) -> tuple[Target, ...]:
        """Those that nobody deleted."""
        return tuple(self._targets.values())


def _name(target: Target) -> tuple[str, str, str, int]:
    return target.gateway.address, target.protocol, target.transport, target.port


def _carry_out(client: Client, request: AnyRequest) -> AnyAnswer:
    try:
        return client.carry_out(request)
    except Exception as error:  # noqa: BLE001  # whatever a router made fail, the next request may succeed
        return Failed(reason="helper-failed", text=f"{type(error).__name__}: {error}"[:200])


class _Output:
    """Standard output for frames alone: what C libraries print goes nowhere."""

    def __init__(self) -> None:
        self._descriptor = os.dup(1)
        self._lock = threading.Lock()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.close(nowhere)

    def write(self, said: Said) -> None:
        """Send an answer. Without an owner there is nothing left to do."""
        with self._lock:
            try:
                write_frame(self._descriptor, said)
            except BrokenPipe:  # the owner is gone, as the end of standard input tells too
                return


def _read_requests(requests: queue.SimpleQueue[Asked | None], limits: NatLimits) -> None:
    decoder = msgspec.msgpack.Decoder(Asked)
    owner = os.getppid()
    watch = select.poll()
    watch.register(_STDIN, select.POLLIN | select.POLLHUP)
    while True:
        # A child that the owner forked may hold the pipe open; another parent means that the owner is gone
        if watch.poll(limits.owner_look * 1000):
            try:
                requests.put(read_frame(_STDIN, decoder))
            except BrokenPipe:
                break
        elif os.getppid() != owner:
            break
    requests.put(None)
    time.sleep(limits.stop)
    os._exit(0)  # also out of a call of a C library


def _listen(out: _Output, limits: NatLimits) -> None:
    """Pass on that routers announce themselves (RFC 6887 section 14.1, RFC 6886 section 3.2.1)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        try:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT"):
                channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            channel.bind(("", pcp.ANNOUNCE_PORT))
        except OSError:  # somebody else listens alone; looks at mappings tell the same, later
            return
        joined = b""
        while True:
            joined = _join(channel, joined)
            channel.settimeout(limits.gateway_look)
            try:
                data, (sender, _) = channel.recvfrom(pcp.MAX_BYTES + 1)
            except OSError:
                continue
            epoch = _announced_epoch(data)
            if epoch is not None:
                out.write(Said(0, None, Announced(gateway=sender, epoch=epoch)))
                time.sleep(limits.announced_queue)  # whoever floods is not passed on


def _join(channel: socket.socket, joined: bytes) -> bytes:
    """Be in the group at the interface of the default route, which may come later or be another by now."""
    group = socket.inet_aton(pcp.ANNOUNCE_GROUP)
    wanted = _default_interface()
    if wanted in (joined, b""):
        return joined
    with contextlib.suppress(OSError):
        if joined:
            channel.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, group + joined)
    with contextlib.suppress(OSError):
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + wanted)
        return wanted
    return b""


def _default_interface() -> bytes:
    found = find_gateway()
    return b"" if found is None else socket.inet_aton(found.local)


def _announced_epoch(data: bytes) -> int | None:
    answer = pcp.decode(data)
    if isinstance(answer, pcp.AnnounceAnswer):
        return answer.epoch
    said = natpmp.decode(data)
    return said.epoch if isinstance(said, natpmp.AddressAnswer) else None


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not POSIX
        return
    with contextlib.suppress(OSError, ValueError):  # a stricter limit is set already
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))


if __name__ == "__main__":
    main()

"""Names of files that others chose, links, and how both are shown."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import parse_qs, quote

from cicada.errors import Misuse
from samples.filesharing.chunks import HASH_BYTES
from samples.filesharing.wire import NAME_BYTES

SCHEME: Final = "cicada-file"
UNNAMED: Final = "unnamed"


class Link(NamedTuple):
    """What is to be fetched, perhaps what it is called, and peers that have it."""

    digest: bytes
    name: str = ""
    peers: tuple[str, ...] = ()

    def __str__(self) -> str:
        fields = [
            *([f"name={quote(self.name)}"] if self.name else []),
            *(f"peer={quote(peer, ':[]@')}" for peer in self.peers),
        ]
        return f"{SCHEME}:{self.digest.hex()}{'?' if fields else ''}{'&'.join(fields)}"


def link_of(text: str) -> Link:
    """The link that ``text`` is, or that has the digest which it is. Raises Misuse when it is neither."""
    named, _, query = text.removeprefix(f"{SCHEME}:").partition("?")
    fields = parse_qs(query)
    try:
        digest = bytes.fromhex(named)
    except ValueError:
        digest = b""
    if len(digest) != HASH_BYTES:
        raise Misuse(f"{text!r} is neither a digest of {2 * HASH_BYTES} digits nor a {SCHEME}: link")
    return Link(digest, "".join(fields.get("name", [])[:1]), tuple(fields.get("peer", [])))


def safe_name(name: str) -> str:
    """A name for a file in a folder of ours, whatever a peer calls it: no path, nothing hidden, nothing a terminal obeys."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(letter for letter in last if letter.isprintable()).strip().lstrip(".")
    while len(shown.encode(errors="replace")) > NAME_BYTES - 16:  # room for " (2)"
        shown = shown[:-1]
    return shown.encode(errors="replace").decode() or UNNAMED


def size_text(size: float) -> str:
    """Bytes in words: ``1.5 GiB``."""
    units = iter(("B", "KiB", "MiB", "GiB"))
    unit = next(units)
    while size >= 1024 and unit != "TiB":
        size, unit = size / 1024, next(units, "TiB")
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"

"""What field values no honest peer sends. Each check raises ValueError, which the codec turns into MalformedMessage."""

from __future__ import annotations

from cicada.ids import PLACE_BYTES, is_canonical


def check_addresses(*addresses: str) -> None:
    """All must be canonical addresses."""
    for address in addresses:
        if not is_canonical(address):
            raise ValueError(f"not a canonical address: {address[:64]!r}")


def check_optional_address(address: str) -> None:
    """Empty, or a canonical address."""
    if address:
        check_addresses(address)


def check_list(entries: tuple[str, ...], limit: int) -> None:
    """At most ``limit`` canonical addresses."""
    if len(entries) > limit:
        raise ValueError(f"list of {len(entries)} entries, at most {limit}")
    check_addresses(*entries)


def check_place(raw: bytes) -> None:
    """Exactly the bytes of one place."""
    if len(raw) != PLACE_BYTES:
        raise ValueError(f"a place has {PLACE_BYTES} bytes, not {len(raw)}")


def check_range(name: str, value: int, low: int, high: int) -> None:
    """``low <= value <= high``."""
    if not low <= value <= high:
        raise ValueError(f"{name} {value} is outside {low}..{high}")


def check_size(name: str, raw: bytes, limit: int) -> None:
    """At most ``limit`` bytes."""
    if len(raw) > limit:
        raise ValueError(f"{name} of {len(raw)} bytes, at most {limit}")

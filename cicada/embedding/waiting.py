"""Waiting for a peer's actors, never longer than was said."""

from __future__ import annotations

import asyncio
import math
from typing import TypeVar

from cicada.errors import DeliveryTimeout

T = TypeVar("T")


async def answered(reply: asyncio.Future[T], timeout: float, what: str) -> T:
    """The answer to a request that has nobody else waiting for it. Raises DeliveryTimeout after ``timeout`` seconds."""
    try:
        async with asyncio.timeout(None if math.isinf(timeout) else timeout):
            return await reply
    except TimeoutError:
        raise DeliveryTimeout(f"{what}: no answer within {timeout} s") from None

"""The sync SwarmPeer and the asyncio one have the same names, and take and give the same."""

from __future__ import annotations

import inspect
from inspect import getattr_static
from typing import Any

import pytest

import cicada
from cicada import aio

TWINS = {"__aiter__": "__iter__", "__aenter__": "__enter__", "__aexit__": "__exit__"}


TYPES = {"BlockingChannel": "Channel", "SyncSwarmRef[Any, Any]": "SwarmRef[Any, Any]"}
"""What only the sync one gives, and its twin."""


def names(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_") or name in TWINS}


def shape(member: Any) -> tuple[Any, ...]:
    """What a caller sees of a member: parameters with their kinds and defaults, and what it gives."""
    if isinstance(member, property):
        return ("property", shape(member.fget)[-1])
    signature = inspect.signature(member)
    parameters = [
        (each.name, each.kind, each.default, each.annotation) for each in signature.parameters.values()
    ]
    given = signature.return_annotation
    return (*parameters, TYPES.get(given, given))


@pytest.mark.parametrize("name", [*sorted(names(aio.SwarmPeer) - {*TWINS}), "__init__"])
def test_a_verb_has_the_same_signature_in_both(name: str) -> None:
    assert shape(getattr_static(cicada.SwarmPeer, name)) == shape(getattr_static(aio.SwarmPeer, name))


def test_neither_has_a_name_that_the_other_has_not() -> None:
    assert names(cicada.SwarmPeer) == names(aio.SwarmPeer) - {*TWINS}
    assert {*TWINS.values()} <= {*dir(cicada.SwarmPeer)}

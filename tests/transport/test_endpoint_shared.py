"""What both endpoints promise to peers that have several addresses where they are bound, and about where connections come from."""

from __future__ import annotations

import pytest

from cicada.errors import Misuse
from cicada.ids import Address, canonical_address, hidden_address
from cicada.transport.base import ConnectionId, Endpoint
from tests.transport.endpoints import (
    Recorder,
    World,
    cohosted_pair_in,
    eventually,
    free_address,
    hello_to,
    pair_in,
)

HIDDEN = hidden_address("5e" * 32)
OUTSIDE = canonical_address("44.128.77.1", 50000)


async def heard(endpoint: Endpoint, bound: Address, dialled: Address, receiver: Recorder) -> ConnectionId:
    """Dial where something is bound, and say HELLO to that address: the connection on which ``receiver`` heard it."""
    caller = Recorder()
    before = len(receiver.frames)
    endpoint.connect(bound, caller)
    await caller.until(lambda: bool(caller.connected))
    endpoint.send(caller.connected[0][1], hello_to(dialled))
    await receiver.until(lambda: len(receiver.frames) > before)
    return receiver.frames[-1][0]


async def test_several_addresses_share_where_they_are_bound_and_hello_says_which_is_meant(
    world: World,
) -> None:
    listening, dialling = world.endpoint(), world.endpoint()
    bound = free_address()
    receivers = {bound: Recorder(), HIDDEN: Recorder(), OUTSIDE: Recorder()}
    listening.listen(bound, receivers[bound])
    for address in (HIDDEN, OUTSIDE):
        listening.listen(address, receivers[address], bind_to=bound, shared=True)
    for address, receiver in receivers.items():
        await heard(dialling, bound, address, receiver)
    assert [len(receiver.frames) for receiver in receivers.values()] == [1, 1, 1]


async def test_unlistening_one_keeps_the_others_and_their_connections(world: World) -> None:
    listening, dialling = world.endpoint(), world.endpoint()
    bound, first, second = free_address(), Recorder(), Recorder()
    listening.listen(bound, first)
    listening.listen(HIDDEN, second, bind_to=bound, shared=True)
    connection = await heard(dialling, bound, HIDDEN, second)
    listening.authenticated(connection, second)
    listening.unlisten(bound)
    assert await heard(dialling, bound, HIDDEN, second)
    assert second.gone == first.gone == []
    assert listening.source(connection)
    listening.unlisten(HIDDEN)
    await second.until(lambda: bool(second.gone))
    assert {reason for _, reason in second.gone} == {"unlistened"}


async def test_when_the_last_one_ends_the_address_is_free_again(world: World) -> None:
    listening, dialling = world.endpoint(), world.endpoint()
    bound = free_address()
    listening.listen(bound, Recorder())
    listening.listen(HIDDEN, Recorder(), bind_to=bound, shared=True)
    listening.unlisten(bound)
    listening.unlisten(HIDDEN)
    receiver = Recorder()
    listening.listen(OUTSIDE, receiver, bind_to=bound)
    await heard(dialling, bound, OUTSIDE, receiver)


async def test_the_first_to_share_binds(world: World) -> None:
    listening, dialling = world.endpoint(), world.endpoint()
    bound, receiver = free_address(), Recorder()
    listening.listen(HIDDEN, receiver, bind_to=bound, shared=True)
    await heard(dialling, bound, HIDDEN, receiver)


async def test_nobody_shares_without_saying_so_and_no_address_is_hosted_twice(world: World) -> None:
    endpoint = world.endpoint()
    bound = free_address()
    endpoint.listen(bound, Recorder())
    with pytest.raises(Misuse, match="hosted here already"):
        endpoint.listen(HIDDEN, Recorder(), bind_to=bound)
    endpoint.listen(HIDDEN, Recorder(), bind_to=bound, shared=True)
    for address in (bound, HIDDEN):
        with pytest.raises(Misuse, match="hosted here already"):
            endpoint.listen(address, Recorder(), bind_to=bound, shared=True)
    endpoint.unlisten(HIDDEN)
    endpoint.unlisten(HIDDEN)
    endpoint.listen(HIDDEN, Recorder(), bind_to=bound, shared=True)


async def test_the_source_of_an_accepted_connection_is_where_it_came_from_and_of_a_dialled_one_empty(
    world: World,
) -> None:
    pair = await pair_in(world)
    assert pair.listening.source(pair.far_connection) == "127.0.0.1"
    assert pair.dialling.source(pair.near_connection) == ""
    assert pair.listening.source(ConnectionId(4711)) == ""


async def test_between_peers_of_one_endpoint_the_source_is_local(world: World) -> None:
    pair = await cohosted_pair_in(world)
    assert pair.listening.source(pair.far_connection) == "local"
    assert pair.dialling.source(pair.near_connection) == ""


async def test_a_connection_that_has_ended_has_no_source(world: World) -> None:
    pair = await pair_in(world)
    pair.listening.drop(pair.far_connection, "test")
    await pair.far.until(lambda: bool(pair.far.gone))
    await eventually(lambda: pair.listening.source(pair.far_connection) == "")

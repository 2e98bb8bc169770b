"""Statements are carried out on real peers; what fails names its line; a stay ends in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from cicada.aio import HostPort, Message, SwarmPeer
from cicada.errors import DeliveryTimeout, Misuse, RingNotReady, Unavailable
from cicada.events import PeerStopped, PortMapped, PortMappingFailed
from cicada.limits import SCRIPT
from launcher.cli import app
from launcher.exits import Exit, exit_code
from launcher.script.binding import Binding, parse_binding
from launcher.script.parse import parse_script
from launcher.script.runner import ExpectationMissed, Runner, StatementFailed
from launcher.script.session import Stay, Watch, join, staying, unless_failed
from launcher.script.showing import Found, Received, Shown, printable, shown_lines
from launcher.script.statements import HostTarget
from launcher.script.waiting import Arrivals, ShownInbox

from .swarms import free_ports

WAIT = 20.0
HERE = Stay(binding=Binding(host="127.0.0.1", port=0), identity="ephemeral", linger=0.0)


class Stage:
    """A peer, what it showed and what was noted beside it."""

    def __init__(self, peer: SwarmPeer, arrivals: Arrivals) -> None:
        self.peer = peer
        self.shown: list[Shown] = []
        self.notes: list[str] = []
        self._runner = Runner(
            peer, peer, arrivals, show=self.shown.append, note=self.notes.append, file="hello.txt"
        )

    async def run(self, text: str) -> None:
        async with asyncio.timeout(WAIT):
            await self._runner.run_all(parse_script(text, "hello.txt"))

    @property
    def texts(self) -> list[tuple[str, str]]:
        return [(each.kind, each.data) for each in self.shown if isinstance(each, Received)]

    @property
    def port(self) -> int:
        return self.peer.listener.port


@asynccontextmanager
async def stage(*seeds: Stage) -> AsyncIterator[Stage]:
    """A peer at a free port of loopback that has joined the others."""
    targets = tuple(HostTarget(host="127.0.0.1", port=seed.port) for seed in seeds)
    async with staying(replace(HERE, seeds=targets), lambda _: None) as (peer, arrivals, _):
        yield Stage(peer, arrivals)


async def test_two_peers_say_to_each_other_what_their_scripts_say() -> None:
    async with stage() as one:
        waiting = asyncio.create_task(one.run("WAIT -1\nBCAST to all"))
        async with stage(one) as other:
            await waiting
            await other.run(f"RECV\nEXPECT to all\nSEND 127.0.0.1 {one.port}  and #back ")
            await one.run("OPT timeout=10\nRECV 1\nEXPECT  and #back ")
            assert other.texts == [("broadcast", "to all")]
            assert one.texts == [("message", " and #back ")]
            assert one.shown[0] == Received(
                line=2,
                kind="message",
                source=f"127.0.0.1:{other.port}",
                data=" and #back ",
                encoding="utf-8",
                trust="first-contact",
                hops=1,
            )


async def test_a_hidden_peer_is_sent_to_by_its_id() -> None:
    async with stage() as one, SwarmPeer("127.0.0.1", 0, identity="ephemeral", reachable=False) as hidden:
        await hidden.connect("127.0.0.1", one.port)
        await one.run(f"SEND {hidden.address} psst")
        assert (await hidden.recv(WAIT)).data == b"psst"
        await hidden.send(("127.0.0.1", one.port), "psst yourself")
        await one.run("RECV")
        assert [each.source for each in one.shown if isinstance(each, Received)] == [hidden.address]


async def test_each_peer_that_joins_ends_one_wait_whether_it_came_before_or_after() -> None:
    async with stage() as one, stage(one), stage(one):
        await one.run("WAIT -1\nWAIT 10\nWAIT 0")
        assert one.notes == ["hello.txt:3: WAIT: no peer joined within 0 s"]


async def test_of_more_peers_than_anybody_waits_for_the_rest_is_not_counted() -> None:
    arrivals = Arrivals(unawaited=2)
    for port in (1, 2, 3):
        arrivals.tell(HostPort("127.0.0.1", port))
    assert [await arrivals.wait(0.05) for _ in range(3)] == [True, True, False]


async def test_those_that_were_there_before_do_not_count_as_joining() -> None:
    async with stage() as one, stage(one) as other:
        await other.run("WAIT 0.05")
        assert len(other.notes) == 1


async def test_options_hold_for_the_statements_after_them() -> None:
    async with stage() as one, stage(one) as other:
        await one.run(f"OPT duplicates=2\nOPT ordered=yes timeout=5\nSEND 127.0.0.1 {other.port} x")
        await other.run("RECV")
        assert other.texts == [("message", "x")]
        with pytest.raises(StatementFailed) as caught:
            await one.run("OPT timeout=50ms\nRECV 2")
        assert str(caught.value) == "hello.txt:2: RECV: 0 of 2 messages came, no other within 0.05 s"


async def test_a_lookup_shows_the_owner_and_the_way() -> None:
    async with stage() as one, stage(one) as other:
        await other.run(f"LOOKUP 127.0.0.1 {one.port}\nLOOKUP {one.peer.hash:064x}")
        by_address, by_place = other.shown
        assert isinstance(by_address, Found)
        assert isinstance(by_place, Found)
        assert by_address.owner == by_place.owner == f"127.0.0.1:{one.port}"
        assert by_address.route[0] == f"127.0.0.1:{other.port}"
        assert f"127.0.0.1:{one.port} owns" in next(shown_lines(by_address))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\nSEND 127.0.0.1 1 x", r"hello.txt:2: SEND: 127.0.0.1:1 did not get it: no such peer"),
        ("SEND no-such.invalid 5 x", r"hello.txt:1: SEND: no-such.invalid:5 did not get it"),
        (
            "OPT timeout=0.3\nSEND @" + "ab" * 32 + " x",
            r"hello.txt:2: SEND: @abab\w+ did not get it: \w+",
        ),
        ("LOOKUP no-such.invalid 5", r"hello.txt:1: LOOKUP: host 'no-such.invalid' cannot be resolved"),
    ],
)
async def test_a_statement_that_fails_names_its_line_and_why(text: str, words: str) -> None:
    async with stage() as one:
        with pytest.raises(StatementFailed, match=words) as caught:
            await one.run(text)
        assert exit_code(caught.value) is Exit.FAILURE


async def test_an_expectation_that_is_missed_is_another_exit_code_and_shows_both() -> None:
    async with stage() as one:
        with pytest.raises(ExpectationMissed, match=r"hello.txt:1: EXPECT: nothing was received before it"):
            await one.run("EXPECT x")
        with pytest.raises(ExpectationMissed) as caught:
            await one.run(f"SEND 127.0.0.1 {one.port} Hey\nRECV\nEXPECT He")
        assert str(caught.value) == "hello.txt:3: EXPECT: 'Hey' was received last, not 'He'"
        assert exit_code(caught.value) is Exit.THRESHOLD


async def test_nothing_after_a_statement_that_failed_is_carried_out() -> None:
    async with stage() as one, stage(one) as other:
        with pytest.raises(ExpectationMissed):
            await one.run(f"EXPECT x\nSEND 127.0.0.1 {other.port} never")
        with pytest.raises(DeliveryTimeout):
            await other.peer.recv(0.05)


async def test_a_peer_joins_as_soon_as_the_other_is_there_and_no_longer_than_it_may() -> None:
    async with stage() as one, staying(HERE, lambda _: None) as (late, _, _):
        nobody = HostTarget(host="127.0.0.1", port=1)
        there = HostTarget(host="localhost", port=one.port)
        assert await join(late, [nobody, there], WAIT) == there
    async with stage() as alone:
        with pytest.raises(RingNotReady, match=r"127.0.0.1:1 is unreachable: not joined within 0.1 s"):
            await join(alone.peer, [nobody], 0.1)
        itself = HostTarget(host="localhost", port=alone.port)
        with pytest.raises(Misuse, match="is this peer itself"):
            await join(alone.peer, [itself], WAIT)


async def test_who_has_other_keys_than_the_peer_it_joins_is_kept_out(tmp_path: Path) -> None:
    first = free_ports(2)
    at = (f"127.0.0.1:{first}", f"127.0.0.1:{first + 1}")
    stays = []
    for folder, own in zip(("one", "other"), at, strict=True):
        (tmp_path / folder).mkdir()
        made = CliRunner().invoke(app, ["keys", "new", "--pair", *at, str(tmp_path / folder)])
        assert made.exit_code == 0
        keys = tmp_path / folder / f"keys-of-{own.replace(':', '_')}.json"
        stays.append(replace(HERE, binding=parse_binding(own), keys=keys))
    async with staying(stays[0], lambda _: None):
        seed = HostTarget(host="127.0.0.1", port=first)
        with pytest.raises(RingNotReady, match="cannot join through"):
            async with staying(replace(stays[1], seeds=(seed,), timeout=0.5), lambda _: None):
                pass


async def test_a_script_that_failed_lets_out_what_its_peer_owes_as_well() -> None:
    async def fail(seed: Stage) -> None:
        target = HostTarget(host="127.0.0.1", port=seed.port)
        async with staying(replace(HERE, seeds=(target,), linger=0.2), lambda _: None):
            failed_at.append(now())
            raise StatementFailed("x")

    now, failed_at = asyncio.get_running_loop().time, list[float]()
    async with stage() as one:
        with pytest.raises(StatementFailed):
            await fail(one)
        assert now() - failed_at[0] >= 0.2


async def test_a_peer_that_supervision_gave_up_ends_its_script() -> None:
    watch = Watch(lambda _: None, None)
    async with stage() as one:
        watch.peer = one.peer
        running = asyncio.create_task(unless_failed(one.run("WAIT -1"), watch))
        watch("", PeerStopped(how="failed"))
        with pytest.raises(Unavailable, match="the peer has ended"):
            await running


async def test_the_router_is_asked_so_often_and_then_no_more() -> None:
    class Peer(SwarmPeer):
        stopped = 0

        def stop_mapping(self) -> None:
            self.stopped += 1

    notes: list[str] = []
    watch, peer = Watch(notes.append, 2), Peer()
    watch.peer = peer
    failed = PortMappingFailed(port=5, reason="no-answer", advice="enable UPnP", retry_in_s=3.0)
    watch("", failed)
    assert (peer.stopped, notes) == (0, ["no port was mapped: enable UPnP"])
    watch(
        "",
        PortMapped(port=5, protocol="pcp", gateway="", external="203.0.113.5:5", lease_s=60, is_global=True),
    )
    watch("", failed)
    assert peer.stopped == 0  # one that worked in between begins the count anew
    watch("", failed)
    watch("", failed)
    assert peer.stopped == 1
    assert notes[-1] == "the router is asked no more, after 2 attempts (--mapping-attempts)"


async def test_a_peer_may_stop_asking_the_router() -> None:
    async with staying(HERE, lambda _: None) as (peer, _, _):
        peer.stop_mapping()
        peer.stop_mapping()
        assert peer.bound


async def test_the_inbox_of_a_prompt_counts_what_was_shown_and_forgets_the_oldest() -> None:
    inbox = ShownInbox(unread=2)
    for number in range(3):
        inbox.put(message(b"%d" % number))
    assert [(await inbox.recv(1.0)).data for _ in range(2)] == [b"1", b"2"]
    with pytest.raises(DeliveryTimeout):
        await inbox.recv(0.01)
    waiting = asyncio.create_task(inbox.recv(WAIT))
    await asyncio.sleep(0)
    inbox.put(message(b"later"))
    assert (await waiting).data == b"later"


def test_what_a_stranger_sent_does_nothing_to_a_terminal() -> None:
    assert printable(b"red \x1b[31m\n\tand \xff \xc2\x9b") == "red \\x1b[31m\\n\tand \\xff \\x9b"
    assert printable("grüße 🦗".encode()) == "grüße 🦗"
    assert printable(b"x" * (SCRIPT.shown + 1)).endswith(f"x... ({SCRIPT.shown + 1} bytes)")


def message(data: bytes) -> Message:
    return Message(
        source=HostPort("127.0.0.1", 5), data=data, more=False, id=1, kind="message", hops=1, trust="pinned"
    )

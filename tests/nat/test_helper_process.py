"""The helper process: it outlives neither its owner nor a request that has no end, and the next one answers."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import msgspec
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cicada.limits import NAT
from cicada.nat.gateway import find_gateway
from cicada.nat.process import BlockingHelper, HelperProcess
from cicada.nat.requests import (
    Announced,
    Failed,
    FindGateway,
    Gateway,
    Granted,
    Knock,
    Knocked,
    Map,
    Said,
)
from tests.nat.igd import Igd
from tests.nat.portserver import PortServer
from tests.nat.test_client import mapping

PATIENCE = 10.0
QUICK = msgspec.structs.replace(NAT, knock=0.1, search=0.1, pcp_deadline=0.02, upnp_deadline=1.0, overdue=0.5)


@pytest.fixture
def helper() -> Iterator[BlockingHelper]:
    with BlockingHelper(QUICK) as running:
        running.ask(FindGateway())  # it has started
        yield running


def test_it_answers_one_request_after_another(helper: BlockingHelper, gateway: Gateway) -> None:
    for _ in range(3):
        assert isinstance(helper.ask(Knock(gateway=gateway)), Knocked)


@pytest.mark.parametrize("trouble", ["is_frozen", "drip"])
def test_a_request_without_end_costs_the_helper_and_nothing_else(
    helper: BlockingHelper, gateway: Gateway, trouble: str
) -> None:
    with Igd(gateway.address).running() as igd:
        setattr(igd, trouble, 0.05)
        began = time.monotonic()
        answer = helper.ask(mapping(gateway, "upnp"))
        assert isinstance(answer, Failed)
        assert answer.reason == "timeout"
        assert time.monotonic() - began < 3.0
        setattr(igd, trouble, 0.0)
        assert isinstance(helper.ask(mapping(gateway, "upnp")), Granted)


def test_what_the_c_library_prints_is_not_taken_for_an_answer(
    helper: BlockingHelper, gateway: Gateway
) -> None:
    with Igd(gateway.address).running() as igd:
        dead = msgspec.structs.replace(
            mapping(gateway, "upnp").target, device=f"http://{gateway.address}:9/x"
        )
        answer = helper.ask(Map(target=dead, lease_s=60))
        assert isinstance(answer, Granted)
        assert answer.target.device == igd.url


def test_descriptors_of_its_owner_beyond_1023_are_no_obstacle(gateway: Gateway) -> None:
    with ExitStack() as held:
        while held.enter_context(socket.socket()).fileno() < 1100:
            pass
        with Igd(gateway.address).running(), BlockingHelper(QUICK) as helper:
            assert isinstance(helper.ask(mapping(gateway, "upnp")), Granted)
            inside = psutil.Process(helper._helper.pid)
            assert inside.num_fds() < 30


def test_ctrl_c_is_for_its_owner(helper: BlockingHelper, gateway: Gateway) -> None:
    os.kill(helper._helper.pid, signal.SIGINT)
    assert isinstance(helper.ask(Knock(gateway=gateway)), Knocked)


def test_one_that_dies_is_replaced(helper: BlockingHelper, gateway: Gateway) -> None:
    helper._helper.kill()
    answer = helper.ask(Knock(gateway=gateway))
    assert answer == Failed(reason="helper-failed", text="the helper process ended")
    assert isinstance(helper.ask(Knock(gateway=gateway)), Knocked)


def test_closing_it_leaves_no_process_whatever_it_is_doing(gateway: Gateway) -> None:
    with Igd(gateway.address).running() as igd:
        igd.is_frozen = True
        said: list[object] = []
        helper = HelperProcess(said.append)
        helper.ask(1, mapping(gateway, "upnp"))
        pid = helper.pid
        helper.close()
        helper.close()
        assert not psutil.pid_exists(pid)
        assert said == [None]


def test_what_a_router_announces_is_passed_on() -> None:
    gateway = find_gateway()
    if gateway is None:
        pytest.skip("no default route, so no interface at which routers could announce anything")
    said: queue.SimpleQueue[Said | None] = queue.SimpleQueue()
    helper = HelperProcess(said.put, QUICK)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as router:
            router.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(gateway.local))
            router.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)  # it stays on this machine
            announcement = bytes.fromhex("02 80 00 00 00000000 00000007") + bytes(12)
            heard = None
            for _ in range(200):  # until the helper listens
                router.sendto(announcement, ("224.0.0.1", 5350))
                with suppress(queue.Empty):
                    heard = said.get(timeout=0.05)
                    break
        assert heard == Said(0, None, Announced(gateway=gateway.local, epoch=7))
    finally:
        helper.close()


def test_whatever_a_router_answers_the_helper_lives(helper: BlockingHelper, gateway: Gateway) -> None:
    pid = helper._helper.pid
    with PortServer(gateway.address).running() as server, Igd(gateway.address).running() as igd:

        @settings(max_examples=15)
        @given(st.binary(min_size=1, max_size=400), st.booleans())
        def answers(junk: bytes, is_http: bool) -> None:
            igd.junk = b"HTTP/1.1 200 OK\r\n\r\n" + junk if is_http else junk
            server.junk = junk
            assert not isinstance(helper.ask(mapping(gateway, "upnp")), Granted)
            assert not isinstance(helper.ask(mapping(gateway, "pcp")), Granted)

        answers()
        server.junk = igd.junk = b""
        assert isinstance(helper.ask(mapping(gateway, "upnp")), Granted)
    assert helper._helper.pid == pid


OWNER = """
import os, sys, threading
from cicada.nat.gateway import find_gateway
from cicada.nat.process import HelperProcess
from cicada.nat.requests import FindGateway
started = threading.Event()
helper = HelperProcess(lambda said: started.set())
helper.ask(1, FindGateway())
started.wait(10)
child = os.fork() if "fork" in sys.argv else 0
if child or "fork" not in sys.argv:
    print(helper.pid, child, flush=True)
threading.Event().wait(60)
"""


@pytest.mark.parametrize("how", ["alone", "fork"])
def test_it_ends_when_its_owner_is_killed_even_if_a_child_of_his_lives_on(how: str) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, how], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    try:
        pid, child = (int(number) for number in owner.stdout.readline().split())
        helper = psutil.Process(pid)
    finally:
        owner.kill()
        owner.wait(PATIENCE)
        owner.stdout.close()
    try:
        psutil.wait_procs([helper], timeout=PATIENCE)
        assert not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE
    finally:
        if child:
            os.kill(child, signal.SIGKILL)

"""The laboratory, where it can be built, and routers on loopback, which need nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cicada.nat.requests import Gateway
from tests.nat.igd import Igd
from tests.nat.lab import Lab, laboratory, why_no_lab
from tests.nat.loopback import own_gateway
from tests.nat.portserver import PortServer
from tests.nat.reaching import PORT, Listener


@pytest.fixture(scope="session")
def _lab_is_possible() -> None:
    """Skips, with the reason; CICADA_LAB=required fails instead, so that a gate which ought to have a lab notices."""
    if reason := why_no_lab():
        if os.environ.get("CICADA_LAB") == "required":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture
def lab(_lab_is_possible: None, tmp_path: Path) -> Iterator[Lab]:
    """A lab of its own for a test; it stands within a few tenths of a second. No router runs a daemon yet."""
    with laboratory(tmp_path) as built:
        yield built


@pytest.fixture
def listener(lab: Lab) -> Iterator[Listener]:
    """At PORT of the LAN's host."""
    with closing(Listener(lab.lan, PORT)) as listening:
        yield listening


@pytest.fixture
def gateway() -> Gateway:
    """A router of this test's own on loopback, in place of the default route's."""
    return own_gateway()


@pytest.fixture
def server(gateway: Gateway) -> Iterator[PortServer]:
    """It speaks PCP and NAT-PMP."""
    with PortServer(gateway.address).running() as running:
        yield running


@pytest.fixture
def igd(gateway: Gateway) -> Iterator[Igd]:
    """It speaks UPnP."""
    with Igd(gateway.address).running() as running:
        yield running

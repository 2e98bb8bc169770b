"""The demo needs nothing but what every installation has."""

from __future__ import annotations

import sys
from typing import cast

import pytest

from launcher.client import SwarmClient
from launcher.demo import _show_load


class NoSwarm:
    """Nobody is asked anything."""

    def ask(self, *_: object) -> None:
        raise AssertionError


def test_the_demo_leaves_the_load_out_where_histograms_are_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "hdrh", None)
    monkeypatch.setitem(sys.modules, "hdrh.histogram", None)
    assert _show_load(cast(SwarmClient, NoSwarm()))
    assert "left out: loads need hdrhistogram: pip install 'cicada-swarm[load]'" in capsys.readouterr().out

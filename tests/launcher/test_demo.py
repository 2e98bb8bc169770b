"""The demo needs nothing but what every installation has, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, cast

import pytest

from launcher.client import SwarmClient
from launcher.demo import _show_load
from launcher.runfolder import running_swarms

from .swarms import PATIENCE

ROOT: Final = Path(__file__).parents[2]


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


def test_the_swarm_of_a_demo_that_is_killed_ends_too(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-u", "-m", "cicada", "demo"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    try:
        assert any("a ring of 20 peers" in line for line in demo.stdout), "it ended before it had begun"
        assert len(running_swarms(tmp_path / "runs")) == 1
    finally:
        demo.kill()
        demo.communicate(timeout=PATIENCE)
    give_up = time.monotonic() + PATIENCE
    while running_swarms(tmp_path / "runs"):
        assert time.monotonic() < give_up
        time.sleep(0.05)

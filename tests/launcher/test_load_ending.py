"""How a load ends: what whoever asked for it may rely on when it has the answer."""

from __future__ import annotations

import random
from pathlib import Path
from typing import cast

from cicada.events import AnyEvent, LoadEnded
from launcher.requests import Requests
from launcher.swarm import Swarm
from tests.launcher.test_load_start import ONE, FakeSwarm


async def test_the_answer_to_a_load_comes_when_its_end_is_in_the_recording(tmp_path: Path) -> None:
    swarm = FakeSwarm()
    waited: list[type[AnyEvent]] = []

    async def recorded(kind: type[AnyEvent]) -> None:
        assert isinstance(swarm.events[-1], kind)
        waited.append(kind)

    requests = Requests(cast(Swarm, swarm), random.Random(1), tmp_path, swarm.events.append, recorded)
    assert (await requests.run_load(ONE)).outcome == "finished"
    assert waited == [LoadEnded]

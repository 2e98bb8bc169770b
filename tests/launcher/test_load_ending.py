"""How a load ends: what whoever asked for it may rely on when it has the answer."""

from __future__ import annotations

import asyncio
import errno
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from cicada.commands import AnyCommand, AnyReply, RunLoad, Threshold
from cicada.config import parse_config
from cicada.errors import CicadaError, Misuse, Unavailable
from cicada.events import AnyEvent, LoadEnded
from launcher.cli import app
from launcher.load.ledger import Layout
from launcher.load.ledgerfile import LedgerFile
from launcher.load.membership import Membership
from launcher.load.merge import SoFar, add_up, settled
from launcher.load.run import LoadRun
from launcher.load.thresholds import broken, figure
from launcher.protocol import AnyWorkerReply, EndLoad, HaltLoad, LoadReport, PrepareLoad
from launcher.requests import Requests
from launcher.run import prepare
from launcher.swarm import Swarm
from tests.launcher.fake_launcher import fake_launcher
from tests.launcher.load_cases import PEERS, Account, plan
from tests.launcher.test_cli_load import LOADED
from tests.launcher.test_load_account import deliver, everybody
from tests.launcher.test_load_start import ONE, FakeSwarm, is_empty


async def test_the_answer_to_a_load_comes_when_its_end_is_in_the_recording(tmp_path: Path) -> None:
    swarm = FakeSwarm()
    waited: list[type[AnyEvent]] = []

    async def recorded(kind: type[AnyEvent]) -> None:
        assert isinstance(swarm.events[-1], kind)
        waited.append(kind)

    requests = Requests(cast(Swarm, swarm), random.Random(1), tmp_path, swarm.events.append, recorded)
    assert (await requests.run_load(ONE)).outcome == "finished"
    assert waited == [LoadEnded]


async def test_a_load_that_is_refused_has_no_number(tmp_path: Path) -> None:
    swarm = FakeSwarm()

    async def recorded(_: type[AnyEvent]) -> None:
        pass

    requests = Requests(cast(Swarm, swarm), random.Random(1), tmp_path, swarm.events.append, recorded)
    with pytest.raises(Misuse):
        await requests.run_load(RunLoad(group="nobody"))
    assert (await requests.run_load(ONE)).load == 1


class Silent(FakeSwarm):
    """Its workers go on, and do not answer when the load ends."""

    def __init__(self) -> None:
        super().__init__()
        self.is_ending = asyncio.Event()

    def finish(self, worker: str) -> LoadReport | CicadaError:
        return LoadReport(finished=False)

    async def ask_each(
        self, commands: Mapping[str, object], *asked: object
    ) -> dict[str, AnyWorkerReply | CicadaError]:
        if any(isinstance(command, EndLoad) for command in commands.values()):
            self.is_ending.set()
            await asyncio.Event().wait()
        return await super().ask_each(commands, *asked)


async def test_a_swarm_that_ends_while_a_load_is_broken_off_leaves_no_account(tmp_path: Path) -> None:
    """Ctrl-C cancels the timeline with its load, and then the swarm ends what is left of it."""
    swarm = Silent()
    command = RunLoad(rate=1.0, duration=600.0)
    run = LoadRun(cast(Swarm, swarm), command, tmp_path, swarm.events.append)
    going = asyncio.create_task(run.carry_out())
    async with asyncio.timeout(10.0):
        while not swarm.events:
            await asyncio.sleep(0.01)
        going.cancel()
        await swarm.is_ending.wait()
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
    assert is_empty(tmp_path)


def test_of_a_load_that_goes_on_what_is_in_flight_is_neither_sent_nor_lost_nor_unfinished() -> None:
    load = plan()
    account = Account(load)
    shots = list(load.shots())
    for shot in shots:
        account.started(shot, 0.0)
    for shot in shots[:4]:
        account.succeeded(shot, began=shot.at, ended=shot.at + 0.01)
        deliver(account, load, shot)
    before = SoFar(now=0.1, settled=settled([account.ledger]))
    account.succeeded(shots[4], began=0.0, ended=0.2)  # which lies in a mailbox
    found = add_up(load, [account.ledger], everybody(), so_far=before)
    assert (found.messages["sent"], found.messages["delivered"], found.messages["lost"]) == (4, 4, 0)
    assert (found.messages["unfinished"], figure("delivered.rate", found)) == (0, 1.0)
    later = SoFar(now=1.1, settled=settled([account.ledger]))
    found = add_up(load, [account.ledger], everybody(), so_far=later)
    assert (found.messages["sent"], found.messages["acknowledged_lost"]) == (5, 1)


def test_of_a_load_that_goes_on_a_broadcast_counts_when_its_time_is_up() -> None:
    load = plan(ops={"broadcast": 1.0}, timeout=1.0)
    account = Account(load)
    for shot in load.shots():
        account.started(shot, 0.0)
    for now, sent in ((0.5, 0), (1.055, 6), (2.0, 20)):
        found = add_up(load, [account.ledger], everybody(), so_far=SoFar(now=now, settled=0))
        assert (found.broadcasts["sent"], found.broadcasts["expected"]) == (sent, sent * (len(PEERS) - 1))


def test_a_threshold_that_has_no_figure_yet_ends_no_load_unless_everything_failed() -> None:
    load = plan()
    account = Account(load)
    thresholds = [Threshold("send.p99 < 1s"), Threshold("delivered.rate >= 0.999"), Threshold("lost == 0")]

    def ends() -> list[str]:
        found = add_up(load, [account.ledger], Membership(), so_far=SoFar(now=1.0, settled=0))
        return [one.that for one in broken(thresholds, found)]

    first = load.shot(0)
    account.started(first, 0.0)
    assert ends() == []
    account.failed(first, "timed out")
    assert ends() == ["send.p99 < 1s"]


class Recovering(FakeSwarm):
    """Its first operation fails, and a hundred succeed once it is told to stop."""

    def finish(self, worker: str) -> LoadReport | CicadaError:
        greeting = self.greetings["worker-0"]
        assert isinstance(greeting, PrepareLoad)
        with LedgerFile(Path(greeting.ledger), Layout.of(greeting.share.plan)) as file:
            send = file.ledger.main.ops["send"]
            if not self.of(HaltLoad):
                send.failed("timed out")
                return LoadReport(finished=False)
            for _ in range(100):
                send.took(0.001, 0.001)
        return LoadReport(finished=True)


async def test_a_threshold_that_ended_a_load_is_missed_whatever_comes_in_later(tmp_path: Path) -> None:
    swarm = Recovering()
    limit = Threshold("errors.rate < 50%", abort_on_fail=True)
    command = RunLoad(rate=1.0, duration=600.0, thresholds=(limit,))
    async with asyncio.timeout(10.0):
        result = await LoadRun(cast(Swarm, swarm), command, tmp_path, swarm.events.append).carry_out()
    assert result.outcome == "aborted"
    assert [(found.value, found.held) for found in result.thresholds] == [(1.0, False)]


async def test_how_far_a_load_is_can_be_asked_when_its_account_has_just_been_removed(tmp_path: Path) -> None:
    swarm = FakeSwarm()
    run = LoadRun(cast(Swarm, swarm), ONE, tmp_path, swarm.events.append)
    await run.carry_out()
    assert run.progress().planned == 1


def test_an_account_that_cannot_be_mapped_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOMEM, "no memory")

    monkeypatch.setattr("launcher.load.ledgerfile.mmap.mmap", refuse)
    with pytest.raises(Unavailable, match="no memory"):
        LedgerFile.create(tmp_path / "a.ledger", Layout.of(plan()))
    assert is_empty(tmp_path)


class Defective(FakeSwarm):
    """The generator of its worker-1 meets a defect."""

    def finish(self, worker: str) -> LoadReport | CicadaError:
        return LoadReport(finished=True, failure="KeyError: 7" if worker == "worker-1" else "")


async def test_a_load_whose_generator_fails_says_which_and_why(tmp_path: Path) -> None:
    swarm = Defective()
    result = await LoadRun(cast(Swarm, swarm), ONE, tmp_path, swarm.events.append).carry_out()
    assert (result.outcome, result.verdict) == ("failed", "the generator in worker-1 failed: KeyError: 7")


def test_a_swarm_with_a_load_that_cannot_be_measured_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hdrh.histogram", None)
    swarm = '[swarm]\nname = "a"\n[[group]]\nname = "core"\ncount = 2\naddress = "127.0.0.1:20000"\n'
    with pytest.raises(Unavailable, match=r"pip install 'cicada-swarm\[load\]'"):
        prepare(parse_config(f"{swarm}[load]\nrate = 10\n"), tmp_path / "run")
    assert is_empty(tmp_path)


def test_the_report_of_a_load_is_about_its_run_when_another_one_has_become_the_latest(tmp_path: Path) -> None:
    other, latest = tmp_path / "other", tmp_path / "latest"
    other.mkdir()

    def answer(command: AnyCommand) -> AnyReply:
        if isinstance(command, RunLoad):
            latest.unlink()
            latest.symlink_to(other)
        return LOADED

    with fake_launcher(tmp_path / "run", answer) as launcher:
        result = CliRunner().invoke(app, ["load", "--count", "100", "--run", str(latest)])
    assert result.exit_code == 0, result.output
    assert (launcher.folder / "report" / "summary.txt").exists()
    assert is_empty(other)

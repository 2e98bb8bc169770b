"""The window's line to the launcher: it never waits, loses nothing, and says what went wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cicada.commands import AnyCommand, AnyReply, Done, GetPeers, Heal, Kill, Refused
from tests.launcher.fake_launcher import fake_launcher
from visualizer.commands import Commander
from visualizer.controls.actions import Ask
from visualizer.limits import COMMANDER
from visualizer.outcomes import Outcome

PATIENCE = 10.0
KILL = Ask(Kill(select="core-1", hard=True), "kill core-1")


@contextmanager
def commander(control: str) -> Iterator[Commander]:
    opened = Commander(control)
    try:
        yield opened
    finally:
        opened.close()


def outcomes(commander: Commander, count: int) -> list[Outcome]:
    """The next so many outcomes."""
    give_up = time.monotonic() + PATIENCE
    found: list[Outcome] = []
    while len(found) < count:
        assert time.monotonic() < give_up, found
        found += commander.take()
        time.sleep(0.005)
    return found


def test_what_is_asked_is_answered_with_its_title(tmp_path: Path) -> None:
    with (
        fake_launcher(tmp_path / "run", lambda _: Done(peers=("core-1",))) as launcher,
        commander(launcher.control) as asking,
    ):
        asking.ask(KILL)
        assert outcomes(asking, 1) == [Outcome(KILL.command, KILL.title, Done(peers=("core-1",)))]
        assert launcher.asked == [KILL.command]
        assert asking.waiting == 0


def test_asking_never_waits_and_a_slow_answer_holds_up_no_other(tmp_path: Path) -> None:
    go_on = threading.Event()

    def answer(command: AnyCommand) -> AnyReply:
        if isinstance(command, Heal):
            assert go_on.wait(PATIENCE)
        return Done()

    with fake_launcher(tmp_path / "run", answer) as launcher, commander(launcher.control) as asking:
        began = time.monotonic()
        asking.ask(Ask(Heal(), "heal"))
        assert asking.take() == []
        assert time.monotonic() - began < 1
        assert asking.waiting == 1
        go_on.set()
        assert [outcome.title for outcome in outcomes(asking, 1)] == ["heal"]


def test_more_than_a_few_at_once_are_refused_here(tmp_path: Path) -> None:
    go_on = threading.Event()

    def answer(_: AnyCommand) -> AnyReply:
        assert go_on.wait(PATIENCE)
        return Done()

    with fake_launcher(tmp_path / "run", answer) as launcher, commander(launcher.control) as asking:
        for _ in range(COMMANDER.waiting + 3):
            asking.ask(KILL)
        refused = asking.take()
        assert len(refused) == 3
        assert all("not answered yet" in outcome.problem for outcome in refused)
        go_on.set()
        assert all(outcome.reply == Done() for outcome in outcomes(asking, COMMANDER.waiting))
        asking.ask(KILL)
        assert not outcomes(asking, 1)[0].problem


def test_without_a_control_socket_nothing_can_be_asked_and_no_thread_runs() -> None:
    before = threading.active_count()
    with commander("") as asking:
        assert not asking.can_ask
        asking.ask(KILL)
        assert "only watched" in asking.take()[0].problem
        assert threading.active_count() == before


def test_a_launcher_that_is_gone_is_an_outcome_and_a_new_one_is_found(tmp_path: Path) -> None:
    with fake_launcher(tmp_path / "run", lambda _: Done()) as launcher:
        control = launcher.control
        with commander(control) as asking:
            asking.ask(KILL)
            outcomes(asking, 1)
            launcher.stop()
            asking.ask(KILL)
            gone = outcomes(asking, 1)[0]
            assert gone.reply is None
            assert gone.is_bad
            assert gone.problem


def test_a_refusal_is_an_outcome_that_is_bad(tmp_path: Path) -> None:
    with (
        fake_launcher(tmp_path / "run", lambda _: Refused(reason="core-1 is killed")) as launcher,
        commander(launcher.control) as asking,
    ):
        asking.ask(KILL)
        assert outcomes(asking, 1)[0].is_bad


def test_closing_does_not_wait_for_answers(tmp_path: Path) -> None:
    go_on = threading.Event()

    def answer(_: AnyCommand) -> AnyReply:
        go_on.wait(PATIENCE)
        return Done()

    with fake_launcher(tmp_path / "run", answer) as launcher:
        asking = Commander(launcher.control)
        asking.ask(Ask(GetPeers(), "peers"))
        began = time.monotonic()
        asking.close()
        asking.close()
        assert time.monotonic() - began < COMMANDER.close
        assert not asking.can_ask
        go_on.set()

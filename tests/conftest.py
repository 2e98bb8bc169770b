"""What every test gets: seeds that repeat, ``--rewrite``, and a check that nothing is left running."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import psutil
import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

LEFTOVER_SECONDS = 5.0
# Who has a test. Groups take about as long; what computes beside what waits costs it nothing.
GROUPS = {
    **dict.fromkeys(("launcher", "packaging", "test_readme.py", "test_secrets.py"), "processes"),
    "peer": "peers",
    **dict.fromkeys(("actors", "bus", "samples", "transport", "test_docs_snippets.py"), "loops"),
    "nat": "routers",
    **dict.fromkeys(("sim", "paper", "launcher/test_simulate.py"), "simulations"),
    "test_docs_commands.py": "commands",
    **{
        f"launcher/test_{part}.py": "commands"
        for part in (
            *("resilience", "watch", "peer_verb", "peer_prompt", "shell", "script_runner", "report_verb"),
            *("timeline_swarm", "load_swarm", "load_deaths", "load_start", "bad_group", "swarm_faults"),
            "swarm_keys",
            "watch_verb",
        )
    },
    **{f"visualizer/test_{part}.py": "commands" for part in ("live_window", "live_healing", "real_window")},
    **{f"launcher/test_report_{part}.py": "computing" for part in ("diff", "files", "fold", "text")},
}
T = TypeVar("T")

# The suite repeats exactly, run after run; CICADA_EXPLORE=1 tries other values, and prints how to replay a failure.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "exploring", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("exploring" if os.environ.get("CICADA_EXPLORE") else "repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write expected files anew; review the diff")


class ByKind(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """With seven processes (``make test``), one has the tests of real processes, one those of what users type, one those of peers,
    one those of sockets, loops and samples, and one those of routers, which all mostly wait, and in their order; the others have
    those that compute."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0].removeprefix("tests/")
        return GROUPS.get(path) or GROUPS.get(path.partition("/")[0], "computing")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByKind:
    """However tests are dealt out, it is by kind."""
    return ByKind(config, log)


@pytest.fixture(autouse=True, scope="session")
def own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Identities and pins of tests are not those of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CICADA_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether expected files are to be written rather than compared."""
    return bool(request.config.getoption("--rewrite"))


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Threads that a test started must be gone when it ends."""
    before = set(threading.enumerate())
    yield
    left = _wait_until_empty(lambda: [t.name for t in threading.enumerate() if t not in before])
    assert not left, f"threads left running: {left}"


@pytest.fixture(autouse=True, scope="module")
def no_process_is_left() -> Iterator[None]:
    """Processes that a test module started must be gone when it ends."""
    before = set(_children())
    yield
    left = _wait_until_empty(lambda: [pid for pid in _children() if pid not in before])
    assert not left, f"processes left running: {left}"


def _children() -> list[int]:
    alive = psutil.Process().children(recursive=True)
    return [child.pid for child in alive if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def _wait_until_empty(look: Callable[[], list[T]]) -> list[T]:
    give_up = time.monotonic() + LEFTOVER_SECONDS
    while (found := look()) and time.monotonic() < give_up:
        time.sleep(0.01)
    return found

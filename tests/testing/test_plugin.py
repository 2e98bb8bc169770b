"""The pytest plugin, as runs of pytest see it that are not this one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import cicada.peer  # noqa: F401  # pytester forgets what its runs load, and libzmq bears no second loading

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent.parent
# Whether or not an installed Cicada has the plugin too, it is registered once: by this name, not by that of its entry point.
PLUGIN = ("-p", "cicada.testing.plugin", "-p", "no:cicada", "-p", "no:cacheprovider")
WITHOUT_ASYNCIO = (*PLUGIN, "-p", "no:asyncio")

SYNC = """
def test_peers_talk(cicada_swarm):
    swarm = cicada_swarm(3)
    assert swarm[0].send(swarm[2], "hello!").result().delivered
    assert swarm[2].recv(timeout=5.0).data == b"hello!"
"""
FAILING = """
import psutil, threading
swarms, before = [], []

def taken():
    return psutil.Process().net_connections(), set(threading.enumerate())

def test_that_nothing_was_there():
    before.append(taken())

async def test_coroutine_that_fails(cicada_swarm):
    for n in (2, 1):
        swarms.append((await cicada_swarm.aio(n)).peers)
    assert False

def test_sync_that_fails(cicada_swarm):
    for n in (2, 1):
        swarms.append(cicada_swarm(n).peers)
    assert False

def test_that_nothing_is_left():
    assert [len(swarm) for swarm in swarms] == [2, 1, 2, 1]
    assert taken() == before[0]
"""
SEEN = """
def test_seed(cicada_swarm):
    print("seed is", cicada_swarm.seed)
"""


@pytest.fixture(autouse=True)
def importable(pytester: pytest.Pytester) -> None:
    """Whoever runs in another folder finds this Cicada."""
    pytester.syspathinsert(ROOT)
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
    )


def test_a_sync_test_gets_blocking_peers_without_any_other_plugin(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    pytester.makepyfile(SYNC)
    pytester.runpytest(*WITHOUT_ASYNCIO).assert_outcomes(passed=1)


def test_a_coroutine_gets_peers_on_its_own_loop(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        async def test_peers_talk(cicada_swarm):
            swarm = await cicada_swarm.aio(3)
            assert (await swarm[0].send(swarm[2], "hello!")).delivered
            assert (await swarm[2].recv(timeout=5.0)).data == b"hello!"
        """
    )
    pytester.runpytest(*PLUGIN).assert_outcomes(passed=1)


def test_swarms_end_with_their_test_however_it_ended(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILING)
    pytester.runpytest(*PLUGIN).assert_outcomes(passed=2, failed=2)


def test_swarms_of_a_fixture_that_is_a_coroutine_end_with_the_test_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        swarms = []

        @pytest.fixture
        async def swarm(cicada_swarm):
            swarms.append(await cicada_swarm.aio(2))
            return swarms[0]

        async def test_peers_talk(swarm):
            assert (await swarm[0].send(swarm[1], "hello!")).delivered

        def test_nobody_is_left():
            assert [peer.bound for peer in (swarms[0][0], swarms[0][1])] == [False, False]
        """
    )
    pytester.runpytest(*PLUGIN).assert_outcomes(passed=2)


def test_the_swarms_of_one_test_have_seeds_of_their_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.cicada_seed(40)
        def test_seeds(cicada_swarm):
            assert [cicada_swarm(1).seed, cicada_swarm(1).seed, cicada_swarm(1, seed=7).seed] == [40, 41, 7]
        """
    )
    pytester.runpytest(*PLUGIN).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marker", "option", "seed"),
    [
        ("", "", 0),
        ("@pytest.mark.cicada_seed(5)", "", 5),
        ("@pytest.mark.cicada_seed(5)", "--cicada-seed=6", 6),
    ],
    ids=["neither", "marker", "option goes before marker"],
)
def test_the_seed_is_that_of_the_option_or_of_the_marker(
    pytester: pytest.Pytester, marker: str, option: str, seed: int
) -> None:
    pytester.makepyfile(f"import pytest\n{marker}{SEEN}")
    result = pytester.runpytest(*PLUGIN, "-s", "--strict-markers", *filter(None, [option]))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"*seed is {seed}"])


def test_a_failure_says_by_which_option_it_comes_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.cicada_seed(17)
        def test_fails(cicada_swarm):
            assert False

        def test_fails_without_swarms():
            assert False
        """
    )
    result = pytester.runpytest(*PLUGIN)
    result.assert_outcomes(failed=2)
    assert result.stdout.str().count("--cicada-seed=") == 1
    result.stdout.fnmatch_lines(["the seed of cicada_swarm was 17: --cicada-seed=17 uses it again"])


def test_a_random_seed_is_another_each_time_and_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(3))
        def test_fails(cicada_swarm, number):
            print("seed is", cicada_swarm.seed)
            assert False
        """
    )
    output = pytester.runpytest(*PLUGIN, "--cicada-seed=random").stdout
    seeds = {line.rpartition(" ")[2] for line in output.lines if line.startswith("seed is ")}
    assert len(seeds) > 1
    for seed in seeds:
        output.fnmatch_lines([f"*--cicada-seed={seed} uses it again"])


@pytest.mark.parametrize("arguments", ["", "'x'", "1, 2"])
def test_a_marker_without_one_number_is_refused(pytester: pytest.Pytester, arguments: str) -> None:
    pytester.makepyfile(f"import pytest\n@pytest.mark.cicada_seed({arguments}){SEEN}")
    result = pytester.runpytest(*PLUGIN)
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*the marker cicada_seed takes one number*"])


def test_an_option_that_is_no_number_is_refused(pytester: pytest.Pytester) -> None:
    assert pytester.runpytest(*PLUGIN, "--cicada-seed=often").ret == pytest.ExitCode.USAGE_ERROR


def test_who_mixes_both_kinds_up_is_told_what_to_use(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio, pytest
        from cicada import Misuse

        async def test_coroutine(cicada_swarm):
            with pytest.raises(Misuse, match="await cicada_swarm.aio"):
                cicada_swarm(2)

        def test_sync(cicada_swarm):
            with pytest.raises(Misuse, match="no coroutine"):
                asyncio.run(cicada_swarm.aio(2))
        """
    )
    pytester.runpytest(*PLUGIN).assert_outcomes(passed=2)


def test_a_run_that_uses_nothing_of_it_loads_nothing_of_cicada() -> None:
    script = (
        "import sys, pytest; before = set(sys.modules); import cicada.testing.plugin; "
        "print(sorted(name for name in set(sys.modules) - before if name.partition('.')[0] in "
        "('cicada', 'zmq', 'pykka', 'msgspec', 'nacl')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "['cicada', 'cicada.testing', 'cicada.testing.plugin']\n"


def test_nothing_but_the_plugin_needs_pytest() -> None:
    script = (
        "import sys; import cicada.testing as testing; "
        "[getattr(testing, name) for name in testing.__all__]; print('pytest' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "False\n"


def test_an_installed_cicada_brings_the_plugin() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert '[project.entry-points.pytest11]\ncicada = "cicada.testing.plugin"\n' in project

"""The pytest plugin: the fixture ``cicada_swarm``, and the seed of a test's swarms.

Every run of pytest imports this, in whatever environment Cicada is installed, so it loads Cicada only for tests that use it.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Awaitable, Callable, Generator
from contextlib import AsyncExitStack, ExitStack
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, Unpack

import pytest

if TYPE_CHECKING:
    from cicada.testing.localswarm import LocalSwarm, Options, SyncSwarm

FIXTURE: Final = "cicada_swarm"
_MARKER: Final = "cicada_seed"
_OPTION: Final = "--cicada-seed"
_ANY: Final = "random"
_FACTORY: Final = pytest.StashKey["SwarmFactory"]()
_SEED: Final = pytest.StashKey[int]()


class SwarmFactory:
    """What ``cicada_swarm`` is: makes swarms that end with the test. ``seed`` is the test's; the first swarm has it, and each
    further one the next number."""

    def __init__(self, seed: int, *, is_coroutine: bool) -> None:
        self.seed = seed
        self._is_coroutine = is_coroutine
        self._made = 0
        self._blocking = ExitStack()
        self._on_loop = AsyncExitStack()

    def __call__(self, n: int, seed: int | None = None, **options: Unpack[Options]) -> SyncSwarm:
        """A swarm of ``n`` blocking peers in a proven ring. Raises Misuse in a test that is a coroutine: see ``aio``."""
        from cicada.testing.localswarm import SyncSwarm

        _check_no_loop()
        return self._blocking.enter_context(SyncSwarm(n, self._next(seed), **options))

    async def aio(self, n: int, seed: int | None = None, **options: Unpack[Options]) -> LocalSwarm:
        """A swarm of ``n`` asyncio peers on the loop of the test, in a proven ring. Raises Misuse in a test that is no coroutine,
        whose loop nobody would be left to end them on."""
        from cicada.errors import Misuse
        from cicada.testing.localswarm import LocalSwarm

        if not self._is_coroutine:
            raise Misuse("this test is no coroutine: make it one, or use cicada_swarm(n)")
        return await self._on_loop.enter_async_context(LocalSwarm(n, self._next(seed), **options))

    def end(self) -> None:
        """End the swarms of blocking peers."""
        self._blocking.close()

    async def end_on_loop(self) -> None:
        """End the swarms on the running loop."""
        await self._on_loop.aclose()

    def _next(self, seed: int | None) -> int:
        self._made += 1
        return self.seed + self._made - 1 if seed is None else seed


def pytest_addoption(parser: pytest.Parser) -> None:
    """One option."""
    group = parser.getgroup("cicada")
    group.addoption(
        _OPTION,
        metavar="N",
        type=_seed_meant,
        help=f"seed of cicada_swarm, instead of that of the marker {_MARKER}; '{_ANY}' chooses one for each test",
    )


def pytest_configure(config: pytest.Config) -> None:
    """One marker."""
    config.addinivalue_line(
        "markers", f"{_MARKER}(n): seed of cicada_swarm in this test; 0 without it, unless {_OPTION} is given"
    )


@pytest.fixture
def cicada_swarm(request: pytest.FixtureRequest) -> Generator[SwarmFactory]:
    """Swarms of this test: ``cicada_swarm(8)``, or ``await cicada_swarm.aio(8)`` in a coroutine."""
    factory = request.node.stash[_FACTORY] = SwarmFactory(
        _seed_of(request.node), is_coroutine=_is_coroutine(request.node)
    )
    yield factory
    factory.end()


@pytest.hookimpl(
    hookwrapper=True
)  # an older pytest, whose tests want nothing from Cicada, knows no other wrappers
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """A test that is a coroutine ends its swarms itself, while its loop still runs: whoever made that loop, and ends it."""
    factory = item.stash.get(_FACTORY, None)
    if factory is None or not isinstance(item, pytest.Function) or not _is_coroutine(item):
        yield
        return
    test = item.obj
    item.obj = _ending(test, factory)
    yield
    item.obj = test


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any]:
    """A failure says the seed."""
    outcome = yield
    report = outcome.get_result()
    seed = item.stash.get(_SEED, None)
    if report.failed and seed is not None:
        report.sections.append(
            ("cicada", f"the seed of cicada_swarm was {seed}: {_OPTION}={seed} uses it again")
        )


def _is_coroutine(item: pytest.Item) -> bool:
    return inspect.iscoroutinefunction(getattr(item, "obj", None))


def _ending(
    test: Callable[..., Awaitable[object]], factory: SwarmFactory
) -> Callable[..., Awaitable[object]]:
    @wraps(test)
    async def run(*arguments: Any, **named: Any) -> object:
        try:
            return await test(*arguments, **named)
        finally:
            await factory.end_on_loop()

    return run


def _seed_of(item: pytest.Item) -> int:
    chosen = item.config.getoption(_OPTION)
    marker = item.get_closest_marker(_MARKER)
    if chosen == _ANY:
        chosen = random.SystemRandom().randrange(1_000_000)
    elif chosen is None and marker is not None:
        if len(marker.args) != 1 or not isinstance(marker.args[0], int):
            raise pytest.UsageError(f"{item.nodeid}: the marker {_MARKER} takes one number")
        chosen = marker.args[0]
    seed = item.stash[_SEED] = int(chosen or 0)
    return seed


def _seed_meant(text: str) -> int | str:
    return text if text == _ANY else int(text)


def _check_no_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    from cicada.errors import Misuse

    raise Misuse("blocking peers would stop this test's event loop: use 'await cicada_swarm.aio(n)'")

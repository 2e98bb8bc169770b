"""What the shell offers when somebody presses Tab: names from the run folder and the configuration, read without asking a swarm.

It is quick, and silent about whatever is missing or wrong: the verb itself will say that.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import typer

from cicada.limits import CLI

_RUNS = Path("runs")
_LATEST = _RUNS / "latest"
_CONFIG_FILE = "config.resolved.toml"
_LOGS = "logs"
_WORKER = "worker-"


def selectors(ctx: typer.Context, incomplete: str) -> list[str]:
    """Groups, workers and ``all``; peers once it is clear of which group."""
    groups = dict(_groups(_run(ctx) / _CONFIG_FILE))
    return _fitting(["all", *groups, *_workers(_run(ctx)), *_peers(groups, incomplete)], incomplete)


def peers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Peers of the group that was begun, or what peers of each group begin with."""
    groups = dict(_groups(_run(ctx) / _CONFIG_FILE))
    found = list(_peers(groups, incomplete))
    return _fitting(found or [f"{group}-" for group in groups], incomplete)


def groups(ctx: typer.Context, incomplete: str) -> list[str]:
    """Groups of the swarm."""
    return _fitting([group for group, _ in _groups(_run(ctx) / _CONFIG_FILE)], incomplete)


def counts(ctx: typer.Context, incomplete: str) -> list[str]:
    """``GROUP=COUNT`` as the configuration has it."""
    # what stands before an option without its value was not taken apart
    config = ctx.params.get("config") or next((word for word in ctx.args if not word.startswith("-")), None)
    if config is None:
        return []
    return _fitting([f"{group}={count}" for group, count in _groups(Path(config))], incomplete)


def run_folders(incomplete: str) -> list[str]:
    """Run folders below ``runs``, the latest first."""
    try:
        found = sorted((str(path) for path in _RUNS.iterdir() if path.is_dir()), reverse=True)
    except OSError:
        return []
    latest = [str(_LATEST)] if str(_LATEST) in found else []
    return _fitting([*latest, *(path for path in found if path not in latest)], incomplete)


def _run(ctx: typer.Context) -> Path:
    return Path(ctx.params.get("run") or _LATEST)


def _groups(config: Path) -> Iterator[tuple[str, int]]:
    try:
        tables = tomllib.loads(config.read_text(encoding="utf-8")).get("group", [])
    except (OSError, ValueError):
        return
    for table in tables if isinstance(tables, list) else ():
        name, count = (table.get("name"), table.get("count")) if isinstance(table, dict) else (None, None)
        if isinstance(name, str) and isinstance(count, int):
            yield name, count


def _peers(groups: dict[str, int], incomplete: str) -> Iterator[str]:
    group, dash, _ = incomplete.rpartition("-")
    if dash and group in groups:
        yield from (f"{group}-{number}" for number in range(groups[group]))


def _workers(run: Path) -> Iterator[str]:
    try:
        names = sorted({path.name.partition(".")[0] for path in (run / _LOGS).iterdir()})
    except OSError:
        return
    yield from (name for name in names if name.startswith(_WORKER))


def _fitting(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)][: CLI.completions]

"""The layers of the design hold, as the syntax trees of all sources show. Every rule is tried on a bad snippet too."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parent.parent
SOURCES: Final = ("cicada", "launcher", "visualizer", "samples")

# Imports go from a later line to an earlier one, never within a line. docs/design.md explains the order.
LAYERS: Final = (
    ("cicada.errors",),
    ("cicada.clock", "cicada.ids", "cicada.tokens"),
    ("cicada.limits", "cicada.events", "cicada.commands", "cicada.hosts"),
    ("cicada.wire",),
    ("cicada.chord", "cicada.keys", "cicada.nat", "cicada.transport", "cicada.bus"),
    ("cicada.routing",),
    ("cicada.services",),
    ("cicada.config",),
    ("cicada.sim",),
    ("cicada.control",),
    ("cicada.actors",),
    ("cicada.targets",),
    ("cicada.embedding",),
    ("cicada.aio",),
    ("cicada.peer",),
    ("cicada.testing",),
    ("launcher", "visualizer", "samples"),
)

# The visualizer watches; it must not be able to reach into a peer.
SEEN_BY_VISUALIZER: Final = (
    "cicada.bus",
    "cicada.clock",
    "cicada.commands",
    "cicada.control",
    "cicada.errors",
    "cicada.events",
    "cicada.ids",
    "cicada.limits",
)

# (importer, imported): why this pair may break the order.
ALLOWED: Final = {
    ("cicada.__main__", "launcher.cli"): "python -m cicada is the cicada command",
}

# These may do so at the top of the file, since they are themselves imported inside functions only.
BRIDGES: Final = {
    ("launcher.watching", "visualizer"): "hands a swarm to the window, or to what stands for it"
}

# Modules that import each other, if only for the types: they are read together. Any other knot is one too many.
KNOTS: Final = {
    (
        "cicada.actors.host",
        "cicada.actors.hosted",
        "cicada.actors.moves",
        "cicada.actors.platform",
    ): "a host has peers that know their host; a peer has moves that move it; a platform is told of peers",
    (
        "cicada.actors.pump",
        "cicada.actors.watch",
    ): "what surrounds a peer has the watch, which measures peers by what surrounds them",
}

CONFINED: Final = {
    "pykka": ("cicada.actors",),
    "zmq": ("cicada.transport", "cicada.bus", "cicada.actors.remote", "cicada.control", "samples.watch_raw"),
    "pygame": ("visualizer",),
    "textual": ("samples.chat.app",),
    "miniupnpc": ("cicada.nat.client",),
    "natpmp": ("cicada.nat.natpmp",),
    "netifaces": ("cicada.nat.gateway",),
    "launcher.verbs": (
        "launcher.verbs",
        "launcher.cli",
    ),  # a verb calls the launcher's parts, and none of them a verb
}

PURE: Final = (
    "cicada.hosts",
    "cicada.wire",
    "cicada.chord",
    "cicada.routing",
    "cicada.services",
    "cicada.keys",
    "cicada.sim",
    "cicada.tokens",
    "cicada.nat.advice",
    "cicada.nat.beside",
    "cicada.nat.debts",
    "cicada.nat.epoch",
    "cicada.nat.io",
    "cicada.nat.lease",
    "cicada.nat.mapper",
    "cicada.nat.natpmp",
    "cicada.nat.pcp",
    "cicada.nat.reachability",
    "cicada.nat.requests",
    "cicada.nat.router",
    "cicada.nat.ssdp",
    "cicada.nat.upnp",
    "cicada.transport.framing",
    "cicada.transport.link",
    "cicada.transport.faults",
    "cicada.transport.faultgate",
    "cicada.actors.supervision",
    "cicada.bus.standing",
    "launcher.plan",
    "launcher.waves",
    "visualizer.controls",
    "visualizer.instants",
    "visualizer.outcomes",
    "visualizer.textlines",
    "launcher.readiness",
    "cicada.config.loadrules",
    "cicada.config.quantities",
    "cicada.config.thresholds",
    "launcher.load.account",
    "launcher.load.figures",
    "launcher.load.histogram",
    "launcher.load.ledger",
    "launcher.load.membership",
    "launcher.load.merge",
    "launcher.load.pace",
    "launcher.load.payloads",
    "launcher.load.plan",
    "launcher.load.schedule",
    "launcher.load.spec",
    "launcher.load.thresholds",
    "launcher.load.verdict",
    "launcher.logs.records",
    "launcher.logs.events",
    "launcher.logs.levels",
    "launcher.faults.book",
    "launcher.report.conditions",
    "launcher.report.diff",
    "launcher.report.eventlines",
    "launcher.report.fold",
    "launcher.report.histograms",
    "launcher.report.hlog",
    "launcher.report.loadfigures",
    "launcher.report.marks",
    "launcher.report.metrics",
    "launcher.report.model",
    "launcher.report.page",
    "launcher.plaintext",
    "launcher.report.schema",
    "launcher.report.style",
    "launcher.report.summarize",
    "launcher.report.text",
    "launcher.script.binding",
    "launcher.script.parse",
    "launcher.script.prompting",
    "launcher.script.showing",
    "launcher.script.statements",
    "launcher.script.words",
    "launcher.shell.lines",
    "launcher.needs",
    "launcher.summary",
    "launcher.doctor.judgement",
    "launcher.metrics.families",
    "launcher.status.census",
    "launcher.status.overview",
    "launcher.status.text",
    "launcher.faults.churn",
    "launcher.faults.draws",
    "launcher.faults.judging",
    "launcher.faults.schedule",
    "launcher.faults.text",
    "launcher.faults.traces",
    "launcher.selectors",
    "cicada.config.section",
    "cicada.config.timeline",
    "cicada.config.timelinechecks",
    "visualizer.model",
    "visualizer.view",
    "visualizer.feed.history",
    "visualizer.feed.player",
    "visualizer.scene",
    "samples.mesh_tunnel",
    "samples.chat.chat",
    "samples.chat.commands",
    "samples.chat.conversations",
    "samples.chat.editing",
    "samples.chat.io",
    "samples.chat.names",
    "samples.chat.roster",
    "samples.chat.text",
    "samples.chat.view",
    "samples.chat.wire",
    "samples.filesharing.chunks",
    "samples.filesharing.fetching",
    "samples.filesharing.holders",
    "samples.filesharing.names",
    "samples.filesharing.wire",
)
EFFECTFUL: Final = ("cicada.keys.store",)
IMPURE_MODULES: Final = frozenset(
    {
        "asyncio",
        "concurrent",
        "ctypes",
        "datetime",
        "io",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "psutil",
    }
    | {"pykka", "queue", "sched", "secrets", "select", "selectors", "shutil", "signal", "socket", "ssl"}
    | {"subprocess", "sys", "tempfile", "threading", "time", "uuid", "uvloop", "zmq"}
)
IMPURE_CALLS: Final = frozenset({"open", "print", "input", "exec", "eval"})

MAX_FILE_LINES: Final = 500
MAX_FUNCTION_LINES: Final = 60
# "path" or "path:function" -> why it may be longer.
LONGER: Final[dict[str, str]] = {
    "cicada/limits.py": "all numbers in one place, a class for each part: what a reader looks for is found by its name",
}

# Modules whose distribution has another name, and extras that are imported when they are there.
DISTRIBUTIONS: Final = {
    "hdrh": "hdrhistogram",
    "nacl": "pynacl",
    "natpmp": "py-natpmp",
    "netifaces": "netifaces-plus",
    "prompt_toolkit": "prompt-toolkit",
    "pygame": "pygame-ce",
    "prometheus_client": "prometheus-client",
    "pydantic_core": "pydantic",
    "tree_sitter": "tree-sitter",
    "tree_sitter_toml": "tree-sitter-toml",
    "imageio_ffmpeg": "imageio-ffmpeg",
    "zmq": "pyzmq",
}


class Module(NamedTuple):
    """A source file: its dotted name, its path for messages, its text and its syntax tree."""

    name: str
    path: str
    text: str
    tree: ast.Module


class Import(NamedTuple):
    """One imported name, in full. ``lazy``: inside a function. ``for_types``: nothing is loaded for it."""

    target: str
    line: int
    lazy: bool
    for_types: bool = False


def module(name: str, text: str, path: str = "") -> Module:
    return Module(name, path or name.replace(".", "/") + ".py", text, ast.parse(text))


def sources() -> list[Module]:
    found = []
    for top in SOURCES:
        for file in sorted((ROOT / top).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append(module(name, file.read_text(), str(file.relative_to(ROOT))))
    return found


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


@lru_cache(None)
def imports(source: Module) -> tuple[Import, ...]:
    """Every import of a file, also under TYPE_CHECKING: a type is a dependency as well."""
    return tuple(_imports(source))


def _imports(source: Module) -> Iterator[Import]:
    functions = [
        node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lazy = {id(inner) for function in functions for inner in ast.walk(function)}
    checked = {id(inner) for node in ast.walk(source.tree) if is_for_types(node) for inner in ast.walk(node)}
    package = source.name if source.path.endswith("__init__.py") else source.name.rpartition(".")[0]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            where = node.lineno, id(node) in lazy, id(node) in checked
            yield from (Import(alias.name, *where) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*parents, *([node.module] if node.module else [])])
            where = node.lineno, id(node) in lazy, id(node) in checked
            yield from (Import(f"{origin}.{alias.name}", *where) for alias in node.names)


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def knots(tree: list[Module], *, with_types: bool) -> set[tuple[str, ...]]:
    """Groups of modules that import each other, at once or by way of others."""
    names = {source.name for source in tree}
    edges = {
        source.name: {
            defining(found.target, names) for found in imports(source) if with_types or not found.for_types
        }
        - {source.name}
        for source in tree
    }
    behind = {name: reached(name, edges) for name in edges}
    return {
        tuple(sorted(other for other in behind[name] if name in behind.get(other, ())))
        for name in edges
        if name in behind[name]
    }


def defining(target: str, names: set[str]) -> str:
    """The module of ours that an imported name is in, or is; empty for others'."""
    while target and target not in names:
        target = target.rpartition(".")[0]
    return target


def reached(start: str, edges: dict[str, set[str]]) -> set[str]:
    """Whatever is behind the first step."""
    found: set[str] = set()
    ahead = [*edges[start]]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += edges.get(name, ())
    return found


def layer(name: str) -> int | None:
    """The line of LAYERS that a name belongs to; None for other people's modules and the public ``cicada`` itself."""
    return next((height for height, line in enumerate(LAYERS) if within(name, *line)), None)


def family(name: str) -> str:
    """The entry of LAYERS that a name belongs to; empty when it belongs to none."""
    return next((entry for line in LAYERS for entry in line if within(name, entry)), "")


def is_allowed(source: Module, found: Import) -> bool:
    pairs = [*ALLOWED, *BRIDGES] if found.lazy else BRIDGES
    return any(source.name == importer and within(found.target, imported) for importer, imported in pairs)


def hasty_bridges(source: Module) -> Iterator[str]:
    """Imports of a bridge that come with the importing module, whether anybody goes over it or not."""
    for found in imports(source):
        if not found.lazy and within(found.target, *(bridge for bridge, _ in BRIDGES)):
            yield f"{source.path}:{found.line}: import {found.target} inside the function that needs it"


def wrong_directions(source: Module) -> Iterator[str]:
    own = layer(source.name)
    for found in imports(source):
        there = layer(found.target)
        where = f"{source.path}:{found.line}: {source.name} imports {found.target}"
        if source.name in {"cicada", "cicada.__main__"} or is_allowed(source, found):
            continue
        if within(found.target, "cicada") and there is None and within(source.name, "cicada"):
            yield f"{where}: import it from the module that defines it"
        elif there is None or own is None or family(source.name) == family(found.target):
            continue
        elif there >= own:
            yield f"{where}: imports go downwards"
        elif within(source.name, "visualizer") and not within(found.target, *SEEN_BY_VISUALIZER):
            yield f"{where}: the visualizer sees {', '.join(SEEN_BY_VISUALIZER)} only"


def misplaced(source: Module) -> Iterator[str]:
    if source.name not in {"cicada", "cicada.__main__"} and layer(source.name) is None:
        yield f"{source.path}: give {source.name} a place in LAYERS"


def escaped_libraries(source: Module) -> Iterator[str]:
    for found in imports(source):
        for library, homes in CONFINED.items():
            if within(found.target, library) and not within(source.name, *homes):
                yield f"{source.path}:{found.line}: {library} is imported in {', '.join(homes)} only"


def is_pure(name: str) -> bool:
    """Whether a module is a pure core; ``link`` stands for every module whose name begins so."""
    return not within(name, *EFFECTFUL) and (within(name, *PURE) or name.startswith("cicada.transport.link"))


def impurities(source: Module) -> Iterator[str]:
    if not is_pure(source.name):
        return
    for found in imports(source):
        top, _, rest = found.target.partition(".")
        if top in IMPURE_MODULES or (top == "random" and rest not in {"", "Random"}):
            yield f"{source.path}:{found.line}: a pure core imports {found.target}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "random" and node.attr != "Random":
                yield f"{source.path}:{node.lineno}: a pure core uses the global random.{node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in IMPURE_CALLS:
                yield f"{source.path}:{node.lineno}: a pure core calls {node.func.id}"
            elif node.func.id == "Random" and not node.args:
                yield f"{source.path}:{node.lineno}: a generator without a seed"


def forbidden_statements(source: Module) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assert):
            yield f"{source.path}:{node.lineno}: assert disappears under -O; raise instead"
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{source.path}:{node.lineno}: a bare except"
        elif isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            yield f"{source.path}:{node.lineno}: import *"
    for number, line in enumerate(source.text.splitlines(), 1):
        if re.search(r"#.*\b(TODO|FIXME|XXX)\b", line):
            yield f"{source.path}:{number}: open an issue instead"


def oversized(source: Module) -> Iterator[tuple[str, str]]:
    """Key for LONGER, and message."""
    lines = len(source.text.splitlines())
    if lines > MAX_FILE_LINES:
        yield source.path, f"{source.path}: {lines} lines, at most {MAX_FILE_LINES}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                key = f"{source.path}:{node.name}"
                yield (
                    key,
                    f"{source.path}:{node.lineno}: {node.name} has {length} lines, at most {MAX_FUNCTION_LINES}",
                )


def single_file_packages(paths: list[str]) -> list[str]:
    """Packages below a top folder that hold one module or none besides ``__init__.py``, and no package."""
    packages = {str(Path(path).parent) for path in paths if Path(path).name == "__init__.py"}
    lonely = []
    for package in sorted(packages):
        inside = [path for path in paths if Path(path).parent == Path(package)]
        nested = [other for other in packages if Path(other).parent == Path(package)]
        if len(inside) + len(nested) < 3:
            lonely.append(package)
    return lonely


def third_party(source: Module) -> set[str]:
    tops = {found.target.partition(".")[0] for found in imports(source)}
    return {top for top in tops if top not in sys.stdlib_module_names and top not in SOURCES}


def declared_dependencies() -> tuple[set[str], set[str]]:
    """Names of the distributions that every installation has, and of those that an extra adds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    return distributions(project["dependencies"]), distributions(extras)


def distributions(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w-]", requirement)[0] for requirement in requirements}


@pytest.fixture(scope="module")
def tree() -> list[Module]:
    found = sources()
    assert len(found) > 20, "the sources were not found"
    return found


def test_imports_go_down_the_layers(tree: list[Module]) -> None:
    assert [problem for source in tree for problem in wrong_directions(source)] == []


def test_the_bridge_to_the_visualizer_is_loaded_by_those_who_cross_it(tree: list[Module]) -> None:
    assert [problem for source in tree for problem in hasty_bridges(source)] == []
    assert list(hasty_bridges(module("launcher.verbs.watch", "from launcher.watching import shoot")))


def test_every_module_has_a_place_in_the_layers(tree: list[Module]) -> None:
    assert [problem for source in tree for problem in misplaced(source)] == []


def test_actors_sockets_and_windows_stay_where_they_belong(tree: list[Module]) -> None:
    assert [problem for source in tree for problem in escaped_libraries(source)] == []


def test_pure_cores_have_no_clock_socket_thread_or_global_randomness(tree: list[Module]) -> None:
    assert [problem for source in tree for problem in impurities(source)] == []


def test_modules_do_not_import_each_other_but_for_a_few_that_are_read_together(tree: list[Module]) -> None:
    assert knots(tree, with_types=False) == set()
    assert knots(tree, with_types=True) == set(KNOTS)


def test_no_rule_is_about_what_is_not_there_any_more(tree: list[Module]) -> None:
    placed = [name for line in LAYERS for name in line]
    for names in (placed, PURE, EFFECTFUL):
        assert [name for name in names if not any(within(source.name, name) for source in tree)] == []
        assert len(set(names)) == len(names)
    uses = [(source.name, found.target) for source in tree for found in imports(source)]
    pairs = [*ALLOWED, *BRIDGES, *((home, library) for library, homes in CONFINED.items() for home in homes)]
    pairs += [("visualizer", seen) for seen in SEEN_BY_VISUALIZER]
    assert [
        (importer, imported)
        for importer, imported in pairs
        if not any(within(user, importer) and within(used, imported) for user, used in uses)
    ] == []


def test_no_assert_bare_except_star_import_or_note_to_self(tree: list[Module]) -> None:
    assert [problem for source in tree for problem in forbidden_statements(source)] == []


def test_files_and_functions_stay_readable(tree: list[Module]) -> None:
    found = dict(entry for source in tree for entry in oversized(source))
    assert [message for key, message in found.items() if key not in LONGER] == []
    assert [key for key in LONGER if key not in found] == [], "no longer needed in LONGER"


def test_a_package_has_at_least_two_files_of_its_own(tree: list[Module]) -> None:
    assert single_file_packages([source.path for source in tree]) == []


def test_what_is_imported_is_declared_and_what_is_declared_is_imported(tree: list[Module]) -> None:
    shipped = [source for source in tree if not within(source.name, "samples")]
    used = {DISTRIBUTIONS.get(name, name) for source in shipped for name in third_party(source)}
    always, extra = declared_dependencies()
    assert used - always - extra == set(), "declare it in pyproject.toml"
    assert always - used == set(), "no longer needed in pyproject.toml"


def test_importing_the_package_loads_none_of_its_parts() -> None:
    code = "import sys, cicada; print(sorted(name for name in sys.modules if name.startswith('cicada.')))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_loaded_and_no_other() -> None:
    import cicada

    assert {name for name in cicada.__all__ if getattr(cicada, name, None) is None} == set()
    assert set(cicada.__all__) <= set(dir(cicada))
    with pytest.raises(AttributeError, match="no attribute 'sockets'"):
        cicada.sockets  # noqa: B018  # reading it is the test


# The rules themselves: each finds a bad snippet, and leaves a good one alone.


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cicada.wire.codec", "from cicada.chord.io import RingSnapshot"),
        ("cicada.wire.codec", "def f():\n    import cicada.routing.io"),
        ("cicada.chord.node", "from cicada.transport import base"),
        ("cicada.chord.node", "import cicada.transport.base as base"),
        ("cicada.chord.node", "from ..transport import base"),
        ("cicada.control", "from cicada.actors.ring import RingActor"),
        ("cicada.actors.ring", "from cicada import SwarmPeer"),
        ("cicada.aio", "from launcher.plan import Plan"),
        ("launcher.run", "import visualizer.app"),
        ("launcher.cli", "import visualizer.app"),
        ("launcher.cli", "def view():\n    import visualizer.app"),
        ("visualizer.model", "from cicada.chord.io import RingSnapshot"),
        ("visualizer.model", "from cicada.aio import SwarmPeer"),
    ],
)
def test_an_import_against_the_layers_is_found(name: str, text: str) -> None:
    assert list(wrong_directions(module(name, text)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "cicada.wire.codec",
            "from cicada.limits import WIRE\nfrom cicada.wire import frames\nimport msgspec",
        ),
        ("cicada.routing.router", "from cicada.chord.io import TableChanged"),
        ("launcher.watching", "import visualizer.app"),
        ("launcher.worker", "import cicada\nfrom cicada import aio"),
        ("visualizer.model", "from cicada.bus.subscriber import Subscriber"),
    ],
)
def test_an_import_along_the_layers_is_fine(name: str, text: str) -> None:
    assert list(wrong_directions(module(name, text))) == []


def test_modules_that_import_each_other_by_way_of_a_third_are_found_whatever_the_import_is_for() -> None:
    for_types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from cicada.a import A"
    lazily = "def f():\n    import cicada.a"
    circle = [module("cicada.a", "import cicada.b"), module("cicada.b", "from cicada.c import C")]
    everybody = {("cicada.a", "cicada.b", "cicada.c")}
    assert knots([*circle, module("cicada.c", "import json")], with_types=True) == set()
    assert knots([*circle, module("cicada.c", lazily)], with_types=False) == everybody
    assert knots([*circle, module("cicada.c", for_types)], with_types=True) == everybody
    assert knots([*circle, module("cicada.c", for_types)], with_types=False) == set()


def test_a_module_outside_the_layers_is_found() -> None:
    assert list(misplaced(module("cicada.helpers", "")))


def test_a_library_outside_its_home_is_found() -> None:
    assert list(escaped_libraries(module("cicada.aio", "import pykka")))
    assert list(escaped_libraries(module("cicada.actors.ring", "from zmq.asyncio import Socket")))
    assert list(escaped_libraries(module("cicada.actors.remote", "import zmq"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from time import monotonic",
        "import asyncio",
        "from threading import Lock",
        "import random\nrandom.random()",
        "from random import choice",
        "import random\nrng = random.SystemRandom()",
        "from random import Random\nrng = Random()",
        "import secrets",
        "print('here')",
        "open('file')",
    ],
)
def test_an_impurity_in_a_core_is_found_and_allowed_in_a_shell(text: str) -> None:
    assert list(impurities(module("cicada.chord.node", text)))
    assert list(impurities(module("cicada.transport.linkqueues", text)))
    assert list(impurities(module("cicada.actors.ring", text))) == []


def test_an_injected_seeded_generator_is_pure() -> None:
    text = "import random\nfrom random import Random\ndef split(rng: random.Random) -> Random:\n    return Random(1)"
    assert list(impurities(module("cicada.chord.node", text))) == []


@pytest.mark.parametrize(
    "text",
    ["assert x", "try:\n    f()\nexcept:\n    pass", "from cicada.ids import *", "x = 1  # TODO: later"],
)
def test_a_forbidden_statement_is_found(text: str) -> None:
    assert list(forbidden_statements(module("cicada.aio", text)))


def test_a_long_file_and_a_long_function_are_found() -> None:
    text = "def f():\n" + "    x = 1\n" * MAX_FUNCTION_LINES + "\n" * MAX_FILE_LINES
    assert [key for key, _ in oversized(module("cicada.aio", text))] == ["cicada/aio.py", "cicada/aio.py:f"]


def test_a_package_of_one_file_is_found() -> None:
    lonely = ["a/__init__.py", "a/x.py", "a/y.py", "a/b/__init__.py", "a/b/z.py"]
    assert single_file_packages(lonely) == ["a/b"]
    assert single_file_packages([*lonely, "a/b/w.py"]) == []

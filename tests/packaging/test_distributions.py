"""The sdist and the wheel: what is in them, and that they install and run where there is nothing but a Python.

`make prove` takes each of Python 3.11 to 3.13 that it finds, with CICADA_PYTHONS=running only the one that runs the tests.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

import pytest

from tests.launcher.swarms import free_ports
from tests.packaging.clean import ROOT, RUNNING, VERSIONS, Clean, Ended, build, interpreter, normalized
from tests.test_architecture import distributions

pytestmark = [pytest.mark.prove, pytest.mark.timeout(1200)]

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES: Final = {"cicada", "launcher", "visualizer"}
IN_SDIST: Final = PACKAGES | {"configs", "docs", "samples", "CHANGELOG.md", "SECURITY.md"}
ADDED_BY_HATCH: Final = {".gitignore", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
ALL: Final = os.environ.get("CICADA_PYTHONS", "all") == "all"
PYTHONS: Final = VERSIONS if ALL else [RUNNING]

# What the extras bring, and what that brings: no part of it comes with the core.
EXTRAS: Final[dict[str, list[str]]] = PROJECT["optional-dependencies"]
OF_EXTRAS: Final = {normalized(name) for lines in EXTRAS.values() for name in distributions(lines)} - {
    "cicada-swarm"
}
NOT_OF_THE_CORE: Final = OF_EXTRAS | {"numpy", "pillow", "contourpy", "fonttools", "pygame"}

METRICS: Final = """\
[swarm]
name = "measured"
[metrics]
listen = "127.0.0.1:{metrics}"
[[group]]
name = "core"
count = 2
address = "127.0.0.1:{first}"
"""
LOADED: Final = """\
[swarm]
name = "loaded"
[load]
count = 5
[[group]]
name = "core"
count = 2
address = "127.0.0.1:{first}"
"""


class Lacking(NamedTuple):
    """A feature and the extra that it needs. ``variables`` are of the environment."""

    extra: str
    command: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()


LACKING: Final = {
    "window": Lacking("viz", ("watch", "runs/latest"), (("DISPLAY", ":77"),)),
    "picture": Lacking("viz", ("watch", "--replay", "runs/latest", "--shot", "2s", "a.png")),
    "film": Lacking("viz", ("watch", "--replay", "runs/latest", "--record", "a.gif")),
    "metrics": Lacking("metrics", ("metrics",)),
    "metrics of a swarm": Lacking("metrics", ("up", "measured.toml")),
    "load of a swarm": Lacking("load", ("up", "loaded.toml")),
    "plot": Lacking("load", ("sim", "scenario.toml", "--plot", "a.png")),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module", params=PYTHONS)
def clean(
    request: pytest.FixtureRequest, built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Clean:
    python = interpreter(request.param)
    if python is None:
        pytest.skip(f"there is no Python {request.param} here")
    made = Clean(tmp_path_factory.mktemp(f"python{request.param}"), python)
    assert (
        made.run("python", "-c", "import shutil; print(shutil.which('cc'), shutil.which('gcc'))").stdout
        == "None None\n"
    )
    ended = made.install(str(built[1]))
    assert ended.exit == 0, ended.stderr
    shutil.copytree(ROOT / "samples", made.work / "samples")
    return made


def succeeds(ended: Ended) -> str:
    assert (ended.stderr, ended.exit) == ("", 0), ended.stdout
    return ended.stdout


def files_of(*tops: str) -> set[str]:
    """Of the repository, as distributions name them."""
    return {
        path.relative_to(ROOT).as_posix()
        for top in tops
        for path in (ROOT / top).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_the_wheel_has_the_packages_and_nothing_else(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == files_of(*PACKAGES)
    assert {PurePosixPath(name).suffix for name in names} == {".py", ".typed"}


def test_the_sdist_has_what_users_read_and_run_and_no_tests(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {name.partition("/")[0] for name in names} == IN_SDIST | ADDED_BY_HATCH
    folders = [name for name in IN_SDIST if (ROOT / name).is_dir()]
    assert {name for name in names if "/" in name} == files_of(*folders)


def test_the_core_brings_no_window_no_plots_and_no_chat(clean: Clean) -> None:
    assert clean.distributions() & NOT_OF_THE_CORE == set()
    direct = {normalized(name) for name in distributions(PROJECT["dependencies"])} - {"netifaces-plus"}
    assert clean.distributions() >= direct | {"cicada-swarm"}


def test_it_is_the_installed_package_that_is_used(clean: Clean) -> None:
    program = "import cicada, sys; print(cicada.__version__, cicada.__file__.startswith(sys.prefix))"
    assert succeeds(clean.run("python", "-c", program)) == f"{PROJECT['version']} True\n"


def test_cicada_helps(clean: Clean) -> None:
    assert "Usage: cicada" in succeeds(clean.run("cicada", "--help"))


@pytest.mark.parametrize(
    ("sample", "printed"), [("hello", "delivered\nb'hello!'\n"), ("hello_async", "delivered b'hello!'\n")]
)
def test_the_programs_of_the_readme_run_outside_the_repository(
    clean: Clean, sample: str, printed: str
) -> None:
    assert succeeds(clean.run("python", "-W", "error", f"samples/{sample}.py")) == printed


def test_the_tunnel_finds_its_other_half_outside_the_repository(clean: Clean) -> None:
    assert "expose" in succeeds(clean.run("python", "samples/mesh.py", "--help"))


def test_the_demo_runs_and_then_what_needs_an_extra_says_what_to_install(clean: Clean) -> None:
    demo = clean.run("cicada", "demo")
    assert demo.exit == 0, demo.stderr
    first = free_ports(6)
    (clean.work / "measured.toml").write_text(METRICS.format(metrics=first, first=first + 1))
    (clean.work / "loaded.toml").write_text(LOADED.format(first=first + 3))
    shutil.copy(ROOT / "configs" / "sim" / "kill-30.toml", clean.work / "scenario.toml")
    for feature, lacking in LACKING.items():
        ended = clean.run("cicada", *lacking.command, variables=dict(lacking.variables))
        assert ended.exit == 1, (feature, ended)
        assert f"pip install 'cicada-swarm[{lacking.extra}]'" in ended.stderr, (feature, ended)
        assert "Traceback" not in ended.stderr, (feature, ended)


def test_a_report_is_made_without_its_page_and_says_what_to_install(clean: Clean) -> None:
    """After the demo above."""
    ended = clean.run("cicada", "report", "runs/latest")
    assert "report.html needs matplotlib: pip install 'cicada-swarm[load]'" in ended.stdout + ended.stderr


def test_the_doctor_names_the_command_for_every_extra(clean: Clean) -> None:
    told = clean.run("cicada", "doctor").stdout
    assert [
        extra for extra in EXTRAS if extra != "all" and f"pip install 'cicada-swarm[{extra}]'" not in told
    ] == []


def test_samples_that_need_an_extra_say_what_to_install(clean: Clean) -> None:
    texts = {path: path.read_text() for path in (clean.work / "samples").rglob("*.py")}
    needy = [path for path, text in texts.items() if "textual" in text and "__main__" in text]
    if not needy:
        pytest.skip("no sample needs an extra")
    for sample in needy:
        ended = clean.run("python", str(sample))
        assert "pip install 'cicada-swarm[chat]'" in ended.stderr, (sample.name, ended)
        assert "Traceback" not in ended.stderr, (sample.name, ended)


def test_all_extras_can_be_installed_without_a_compiler(clean: Clean, built: tuple[Path, Path]) -> None:
    ended = clean.install("--dry-run", f"{built[1]}[all]")
    assert ended.exit == 0, ended.stderr

"""Distributions built from this repository, and environments that have nothing else, no compiler either."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parent.parent.parent
RUNNING: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
VERSIONS: Final = sorted(
    {"3.11", "3.12", "3.13", RUNNING}, key=lambda version: int(version.partition(".")[2])
)
INSTALL_SECONDS: Final = 300.0
SECONDS: Final = 60.0


class Ended(NamedTuple):
    """How a command ended."""

    exit: int
    stdout: str
    stderr: str


class Clean:
    """A virtual environment with the wheel and what it depends on, and an empty folder to work in."""

    def __init__(self, folder: Path, python: str) -> None:
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        self._bin = folder / "venv" / "bin"
        self._state = folder / "state"
        subprocess.run(
            [python, "-m", "venv", folder / "venv"], check=True, timeout=INSTALL_SECONDS, env=neutral()
        )

    def install(self, *requirements: str) -> Ended:
        """What pip says; sources are refused, for nothing here could compile them."""
        command = [
            "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
        ]
        return self.run(*command, *requirements, timeout=INSTALL_SECONDS)

    def run(
        self,
        program: str,
        *arguments: str,
        timeout: float = SECONDS,
        variables: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run a program of the environment, which finds no other ones."""
        done = subprocess.run(
            [self._bin / program, *arguments],
            cwd=self.work,
            env={**neutral(), "PATH": str(self._bin), "CICADA_STATE": str(self._state), **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def distributions(self) -> set[str]:
        """Their normalized names, but for pip and what came with it."""
        listed = json.loads(self.run("python", "-m", "pip", "list", "--format", "json").stdout)
        return {normalized(each["name"]) for each in listed} - {"pip", "setuptools"}


def neutral() -> dict[str, str]:
    """This process's environment without what would lead Python or a compiler astray."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON")
        and name not in ("CC", "CXX", "DISPLAY", "WAYLAND_DISPLAY", "VIRTUAL_ENV")
    }


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def interpreter(version: str) -> str | None:
    """Where that version of Python is, on the path or kept by pyenv; None when it is nowhere."""
    if version == RUNNING:
        return sys.executable
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    candidates = [shutil.which(f"python{version}"), *sorted(kept.glob(f"{version}.*/bin/python{version}"))]
    return next((str(found) for found in candidates if found and _answers(found)), None)


def _answers(python: str | Path) -> bool:
    """A shim of pyenv is on the path whether or not its version is switched on."""
    return (
        subprocess.run([python, "--version"], capture_output=True, timeout=SECONDS, check=False).returncode
        == 0
    )


def build(folder: Path) -> tuple[Path, Path]:
    """The sdist of this repository, and the wheel made of that sdist."""
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel

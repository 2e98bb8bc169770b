"""Every sample that needs nothing but itself runs as its first line says, quietly, and shows what it promises."""

from __future__ import annotations

import ast
import functools
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.launcher.swarms import free_ports

ROOT: Final = Path(__file__).parent.parent.parent
SAMPLES: Final = ROOT / "samples"
README_PROGRAMS: Final = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
SAID: Final = "b'hello!'\nb'!olleh'\n"
COPY: Final = re.compile(
    r"^  attempt \d+  colour (\d)  by [\d.:]+ +(intact|altered|lost|unattributed)$", re.MULTILINE
)
UP_LOOPBACK: Final = 'ip link set lo up && exec "$@"'
ALONE: Final = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", UP_LOOPBACK, "sh"]
"""Before a command: it has a network of its own, in which all ports are free."""


def body(text: str) -> str:
    """A sample without its docstring."""
    docstring = ast.parse(text).body[0]
    return "\n".join(text.splitlines()[docstring.end_lineno :]).strip("\n") + "\n"


def run(*command: str, timeout: float = 30.0) -> str:
    """What it prints; it must succeed and have no complaints, not even of resources."""
    done = subprocess.run(
        [*command], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False, env=environment()
    )
    assert (done.stderr, done.returncode) == ("", 0), done.stdout
    return done.stdout


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def python(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", *arguments]


@functools.cache
def can_be_alone() -> bool:
    if shutil.which(ALONE[0]) is None or shutil.which("ip") is None:
        return False
    return subprocess.run([*ALONE, "true"], capture_output=True, check=False, timeout=10).returncode == 0


def is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_a_sample_says_how_it_is_run(sample: Path) -> None:
    docstring = ast.get_docstring(ast.parse(sample.read_text())) or ""
    assert f"python samples/{sample.name}" in docstring or docstring.startswith("The rules of samples/")


def test_the_programs_of_the_readme_are_the_samples() -> None:
    assert [body((SAMPLES / name).read_text()) for name in ("hello.py", "hello_async.py")] == README_PROGRAMS


@pytest.mark.parametrize(
    ("name", "printed"), [("hello.py", "delivered\nb'hello!'\n"), ("hello_async.py", "delivered b'hello!'\n")]
)
def test_hello_arrives(name: str, printed: str) -> None:
    assert run(*python(str(SAMPLES / name))) == printed


def test_the_first_tutorial_runs_as_it_was() -> None:
    """On ports 5000 and 5001, in a network of its own where there can be one."""
    command = python(str(SAMPLES / "tutorial.py"))
    if can_be_alone():
        assert run(*ALONE, *command) == SAID
    elif is_free(5000) and is_free(5001):
        assert run(*command) == SAID
    else:
        pytest.skip("ports 5000 and 5001 are not free, and this user may not have a network of its own")


def test_the_first_tutorial_runs_on_any_two_ports() -> None:
    first = free_ports(2)
    text = (SAMPLES / "tutorial.py").read_text()
    assert text.count("5000)") == text.count("5001)") == 1
    assert run(*python("-c", text.replace("5000)", f"{first})").replace("5001)", f"{first + 1})"))) == SAID


def test_messages_past_bad_relays_arrive_and_their_copies_tell_of_it() -> None:
    shown = run(*python(str(SAMPLES / "multipath.py")), timeout=60.0)
    copies = COPY.findall(shown)
    assert len(re.findall(r"^message \d: delivered over \d+ hops$", shown, re.MULTILINE)) == 6
    assert {colour for colour, _ in copies} >= {"0", "1", "2", "3"}
    assert {fate for _, fate in copies} & {"altered", "lost"}, "no copy met a bad relay"
    assert len(shown.splitlines()) == 6 + len(copies)

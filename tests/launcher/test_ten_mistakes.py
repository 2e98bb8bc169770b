"""A configuration with ten different mistakes, given to the command itself: ten messages, and nothing is started."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEN = """\
[swarm]
name = "two words"
sed = 7
workers = "many"

[[group]]
name = "core"
count = 0
address = "localhost:20000"

[[group]]
name = "core"
count = "3"
address = "127.0.0.1:65530"

[peer]
log_level = "inf"

[metrics]
listen = "9610"

[superversion]
"""
# Where each is, and what its message says to write instead.
EXPECTED = [
    ("2:8", "swarm.name", "only letters, digits, '-' and '_'"),
    ("3:1", "swarm.sed", "did you mean 'seed'?"),
    ("4:11", "swarm.workers", 'expected "auto" or a whole number from 1 to 256'),
    ("8:9", "group[0].count", "must be at least 1"),
    ("9:11", "group[0].address", 'for example "127.0.0.1:20000"'),
    ("12:8", "group[1].name", "choose another name"),
    ("13:9", "group[1].count", "expected a whole number"),
    ("17:13", "peer.log_level", "did you mean 'info'?"),
    ("20:10", "metrics.listen", "write host:port, for example"),
    ("22:2", "superversion", "did you mean 'supervision'?"),
]


@pytest.mark.parametrize("verb", [("up",), ("up", "-d", "--wait", "5s"), ("doctor",)])
def test_ten_mistakes_are_ten_messages_with_line_column_and_suggestion(
    verb: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "ten.toml").write_text(TEN)
    done = subprocess.run(
        [sys.executable, "-m", "cicada", verb[0], "ten.toml", *verb[1:]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert len(lines) == len(EXPECTED), done.stderr
    for line, (position, key, suggestion) in zip(lines, EXPECTED, strict=True):
        assert re.match(rf"ten\.toml:{position}: {re.escape(key)}: ", line), line
        assert suggestion in line
    assert [path.name for path in tmp_path.iterdir()] == ["ten.toml"]

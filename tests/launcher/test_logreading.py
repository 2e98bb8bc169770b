"""Reading logs: whatever was rotated meanwhile, every record once, in order of time."""

from __future__ import annotations

import os
import random
from pathlib import Path

import msgspec
import pytest

from cicada.config import to_toml
from cicada.errors import Misuse, Unavailable
from cicada.limits import LOG, LogLimits
from launcher.logs.files import LogFiles, log_path
from launcher.logs.reading import Follower, Line, RunLogs, Tail
from launcher.logs.records import Record
from launcher.runfolder import CONFIG_FILE, LOGS
from tests.launcher.swarms import config

SMALL = LogLimits(file=1000, files=LOG.files)


def record(number: int, name: str = "core-1", *, at: int | None = None, source: str = "worker-0") -> Record:
    time = f"2026-11-25T00:00:{number if at is None else at:06.3f}Z"
    return Record(time=time, level="info", source=source, event="E", text=f"record {number}", peer=name)


def write(folder: Path, *records: Record, files: LogFiles | None = None) -> None:
    for one in records:
        (files or LogFiles(folder, SMALL)).append(one.name, [msgspec.json.encode(one) + b"\n"])


def numbers(lines: list[Line]) -> list[int]:
    return [int(line.record.text.split()[1]) for line in lines]


def read(tail: Tail) -> list[int]:
    return numbers(list(tail.read()))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run of core-0 to core-3 in worker-0 and worker-1."""
    (tmp_path / LOGS).mkdir()
    (tmp_path / CONFIG_FILE).write_text(to_toml(config(4, first_port=20000)))
    return tmp_path


def test_a_log_is_read_from_its_oldest_record_over_all_its_files(tmp_path: Path) -> None:
    write(tmp_path, *map(record, range(30)))
    found = read(Tail(tmp_path, "core-1"))
    assert len(list(tmp_path.iterdir())) == LOG.files
    assert found == list(range(found[0], 30))
    assert len(found) > 20


def test_each_read_goes_on_where_the_last_one_ended_across_rotations(tmp_path: Path) -> None:
    tail = Tail(tmp_path, "core-1")
    draw = random.Random(1)
    found: list[int] = []
    written = 0
    while written < 500:
        burst = draw.randrange(1, 20)  # at most two new files between two reads
        write(tmp_path, *map(record, range(written, written + burst)))
        written += burst
        found += read(tail)
    assert found == list(range(written))
    assert read(tail) == []
    assert tail.gaps == 0


@pytest.mark.parametrize("moment", range(20))
def test_a_rotation_in_the_middle_of_a_look_neither_hides_nor_repeats_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    write(tmp_path, *map(record, range(12)))
    tail = Tail(tmp_path, "core-1")
    looks = 0

    def path_while_somebody_writes(folder: Path, name: str, generation: int = 0) -> Path:
        nonlocal looks
        looks += 1
        if looks == moment:
            write(tmp_path, *map(record, range(12, 24)))
        return log_path(folder, name, generation)

    monkeypatch.setattr("launcher.logs.reading.log_path", path_while_somebody_writes)
    found = read(tail)
    monkeypatch.undo()
    write(tmp_path, record(24))
    found += read(tail)
    expected = range(24) if looks >= moment > 0 else range(12)
    assert found == [*expected, 24]


def test_files_that_were_given_up_before_they_were_read_are_a_gap(tmp_path: Path) -> None:
    tail = Tail(tmp_path, "core-1")
    write(tmp_path, record(0))
    assert read(tail) == [0]
    write(tmp_path, *map(record, range(1, 200)))
    rest = read(tail)
    assert tail.gaps == 1
    assert rest == list(range(rest[0], 200))


def test_a_line_that_is_being_written_is_read_when_it_is_complete(tmp_path: Path) -> None:
    tail = Tail(tmp_path, "core-1")
    path = log_path(tmp_path, "core-1")
    line = msgspec.json.encode(record(1)) + b"\n"
    for cut in (10, len(line) - 1):
        path.write_bytes(line[:cut])
        assert read(tail) == []
    path.write_bytes(line)
    assert read(tail) == [1]
    with path.open("ab") as file:
        file.write(b"torn" + b"\n" + line.replace(b"record 1", b"record 2"))
    assert read(tail) == [2]


def test_records_of_several_logs_come_in_order_of_time(run: Path) -> None:
    logs = run / LOGS
    write(logs, *(record(number, f"core-{number % 3}") for number in range(30)))
    follower = Follower(RunLogs(run), "core")
    assert numbers(list(follower.all())) == list(range(30))


def test_a_peer_that_is_added_while_its_group_is_followed_is_followed_too(run: Path) -> None:
    write(run / LOGS, record(1, "core-1"))
    follower = Follower(RunLogs(run), "all")
    assert numbers(list(follower.all())) == [1]
    write(run / LOGS, record(2, "core-9"), record(3, "core-1"))
    assert numbers(follower.more(last=True)) == [2, 3]


def test_what_is_too_fresh_to_be_in_order_waits_for_slower_writers(run: Path) -> None:
    follower = Follower(RunLogs(run), "core")
    assert list(follower.all()) == []
    far = "2999-01-01T00:00:00.000Z"
    fresh = msgspec.structs.replace(record(5, "core-2"), time=far)
    write(run / LOGS, record(1, "core-1"), fresh)
    assert numbers(follower.more(last=False)) == [1]
    write(run / LOGS, record(2, "core-3"))
    assert numbers(follower.more(last=False)) == [2]
    assert numbers(follower.more(last=True)) == [5]


def test_a_single_log_is_shown_without_waiting(run: Path) -> None:
    follower = Follower(RunLogs(run), "core-2")
    assert list(follower.all()) == []
    write(run / LOGS, msgspec.structs.replace(record(5, "core-2"), time="2999-01-01T00:00:00.000Z"))
    assert numbers(follower.more(last=False)) == [5]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("core-2", ["core-2"]),
        ("launcher", ["launcher"]),
        ("worker-1", ["worker-1", "core-1", "core-3", "core-9"]),
        ("core", ["core-0", "core-1", "core-2", "core-3", "core-9"]),
        (
            "all",
            ["launcher", "worker-0", "worker-1", "core-0", "core-1", "core-2", "core-3", "core-9"],
        ),
    ],
)
def test_a_selector_names_logs_also_of_peers_that_were_added_or_said_nothing(
    run: Path, text: str, names: list[str]
) -> None:
    write(run / LOGS, record(1, "core-9", source="worker-1"), record(1, "", source="worker-1"))
    assert RunLogs(run).names(text) == names


def test_a_share_is_the_same_at_every_look(run: Path) -> None:
    logs = RunLogs(run)
    assert logs.names("core:50%") == logs.names("core:50%")
    assert len(logs.names("50%")) == 2


def test_nobodys_log_is_refused_with_names_that_are_near(run: Path) -> None:
    with pytest.raises(Misuse, match="'core-33'; did you mean core-3"):
        RunLogs(run).names("core-33")


def test_logs_without_a_configuration_can_be_read(run: Path) -> None:
    os.unlink(run / CONFIG_FILE)
    write(run / LOGS, record(1, "core-1", source="worker-0"), record(1, "", source="worker-0"))
    logs = RunLogs(run)
    assert logs.names("worker-0") == ["worker-0", "core-1"]
    assert logs.names("core") == ["core-1"]


def test_a_folder_without_logs_says_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"no logs in .*cicada up"):
        RunLogs(tmp_path)

"""The log of a process: bounded, never in the way, and honest about what it lost."""

from __future__ import annotations

import logging
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from cicada.events import (
    AnyEvent,
    LinkOpened,
    LookupFinished,
    MessageDropped,
    MessageSettled,
    PhaseChanged,
)
from cicada.limits import LogLimits
from launcher.logs.book import DEFECT, QUEUE_FULL, LogBook
from launcher.logs.files import LogFiles, log_path, logged_names
from launcher.logs.levels import LevelSetting
from launcher.logs.records import TRACE, Level, Record, decoded

NEVER = 3600.0  # seconds: the writer looks at its end only
JOINED = PhaseChanged(phase="member", reason="joined")
Make = Callable[..., LogBook]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes open logs in the folder; what a test did not close is closed."""
    made: list[LogBook] = []

    def open_log(level: Level = Level.INFO, **limits: float) -> LogBook:
        chosen = msgspec.structs.replace(LogLimits(flush=NEVER), **limits)
        book = LogBook(tmp_path, "worker-0", level, limits=chosen)
        book.open()
        made.append(book)
        return book

    yield open_log
    for book in made:
        book.close()


def records(folder: Path, name: str) -> list[Record]:
    lines = log_path(folder, name).read_bytes().splitlines()
    found = [decoded(line) for line in lines]
    assert None not in found
    return [record for record in found if record is not None]


def texts(folder: Path, name: str) -> list[str]:
    return [record.text for record in records(folder, name)]


def test_an_event_is_a_line_in_the_log_of_its_peer(make: Make, tmp_path: Path) -> None:
    book = make()
    book.event("core-3", JOINED)
    book.event("core-4", JOINED)
    book.event("", PhaseChanged(phase="process"))
    book.close()
    (record,) = records(tmp_path, "core-3")
    assert (record.level, record.source, record.peer, record.actor) == ("info", "worker-0", "core-3", "ring")
    assert (record.event, record.text) == ("PhaseChanged", "phase member: joined")
    assert len(record.time) == len("2026-11-25T21:37:46.123Z")
    assert logged_names(tmp_path) == ["core-3", "core-4", "worker-0"]
    assert stat.S_IMODE(log_path(tmp_path, "core-3").stat().st_mode) == 0o600


def test_publishing_goes_on_and_what_nobody_wants_is_not_even_queued(make: Make, tmp_path: Path) -> None:
    told: list[tuple[str, AnyEvent]] = []
    book = make()
    publish = book.tapped(lambda peer, event: told.append((peer, event)))
    link = LinkOpened(remote="a:1", dialled=True)
    delivered = MessageSettled(message=1, status="delivered", reason="", attempts=1, hops=1, round_trip_s=0.1)
    book.set_levels([LevelSetting("core-1", "debug")])
    for peer, event in (("core-2", link), ("core-1", delivered), ("core-1", link)):
        publish(peer, event)
    book.close()
    assert told == [("core-2", link), ("core-1", delivered), ("core-1", link)]
    assert logged_names(tmp_path) == ["core-1"]
    assert texts(tmp_path, "core-1") == ["link with a:1 opened, dialled from here"]


def test_a_level_that_is_changed_holds_for_one_peer_and_one_actor_only(make: Make, tmp_path: Path) -> None:
    book = make()
    lookup = LookupFinished(place="ab", owner="a:1", hops=1, seconds=0.1, lookup=7)
    book.event("core-1", lookup)
    book.set_levels([LevelSetting("core-1", "debug", "ring")])
    for peer in ("core-1", "core-2"):
        book.event(peer, lookup)
        book.event(peer, LinkOpened(remote="a:1", dialled=True))
    book.close()
    assert logged_names(tmp_path) == ["core-1"]
    (record,) = records(tmp_path, "core-1")
    assert (record.lookup, record.remote) == (7, "a:1")


def test_what_the_queue_cannot_hold_is_dropped_counted_and_the_count_is_a_record(
    make: Make, tmp_path: Path
) -> None:
    book = make(queue=3)
    for number in range(10):
        book.event("core-1", PhaseChanged(phase=str(number)))
    assert book.dropped[QUEUE_FULL] == 7
    book.close()
    assert texts(tmp_path, "core-1") == ["phase 0", "phase 1", "phase 2"]
    (loss,) = records(tmp_path, "worker-0")
    assert (loss.level, loss.text) == ("warning", f"7 records were not logged: {QUEUE_FULL}")
    assert loss.detail == {"count": 7}


def test_the_writer_writes_while_the_process_runs(make: Make, tmp_path: Path) -> None:
    book = make(flush=0.001)
    give_up = threading.Event()
    book.event("core-1", JOINED)
    path = log_path(tmp_path, "core-1")
    for _ in range(5000):
        if path.exists() and path.read_bytes().endswith(b"\n"):
            break
        give_up.wait(0.001)
    assert texts(tmp_path, "core-1") == ["phase member: joined"]


def test_thousands_of_equal_drops_become_one_record_that_counts_them(make: Make, tmp_path: Path) -> None:
    book = make(batch=5000)
    for _ in range(1000):
        book.event("core-1", MessageDropped(reason="hop-limit"))
        book.event("core-2", MessageDropped(reason="hop-limit"))
    book.event("core-1", MessageDropped(reason="busy"))
    book.event("core-1", JOINED)
    book.event("core-1", JOINED)
    book.close()
    assert [(record.text, record.times) for record in records(tmp_path, "core-1")] == [
        ("dropped a message: hop-limit", 1000),
        ("dropped a message: busy", 1),
        *[("phase member: joined", 1)] * 2,
    ]
    assert [record.times for record in records(tmp_path, "core-2")] == [1000]


def test_a_logger_of_the_library_writes_into_the_log_of_the_peer_it_names(make: Make, tmp_path: Path) -> None:
    book = make()
    logger = logging.getLogger("cicada.some.part")
    try:
        raise KeyError(b"a secret payload")
    except KeyError as error:
        logger.warning("%s failed: %r", "it", error, exc_info=True, extra={"peer": "core-5"})
    logger.info("about the process")
    logger.debug("nobody wants this")
    logging.getLogger("other.library").error("this neither")
    book.close()
    logger.error("too late")
    (record,) = records(tmp_path, "core-5")
    assert (record.level, record.event, record.text) == (
        "warning",
        "cicada.some.part",
        "it failed: KeyError(<bytes>)",
    )
    trace = record.detail[TRACE]
    assert isinstance(trace, tuple)
    assert trace[-1].endswith("test_a_logger_of_the_library_writes_into_the_log_of_the_peer_it_names")
    assert texts(tmp_path, "worker-0") == ["about the process"]


def test_what_no_logger_is_wanted_for_is_not_formatted(make: Make) -> None:
    class Costly:
        def __str__(self) -> str:
            raise AssertionError("it was formatted")

    make()
    logging.getLogger("cicada.some.part").debug("%s", Costly())


def test_importing_cicada_installs_a_handler_that_says_nothing() -> None:
    import cicada  # noqa: F401

    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("cicada").handlers)


@pytest.mark.parametrize("obstacle", ["full", "folder"])
def test_a_log_that_cannot_be_written_costs_records_and_nothing_else(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, obstacle: str
) -> None:
    book = make()
    bad = log_path(tmp_path, "core-1")
    if obstacle == "full":
        bad.symlink_to("/dev/full")
    else:
        bad.mkdir()
    for _ in range(3):
        book.event("core-1", JOINED)
        book.event("core-2", JOINED)
    book.close()
    reason = "No space left on device" if obstacle == "full" else "Is a directory"
    assert len(records(tmp_path, "core-2")) == 3
    assert book.dropped[reason] == 3
    assert texts(tmp_path, "worker-0") == [f"3 records were not logged: {reason}"]
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == [f"records of worker-0 cannot be written to {tmp_path}: {reason}"]


def test_a_disk_that_is_full_for_long_is_one_warning_and_told_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "logs"
    book = LogBook(folder, "worker-0", Level.INFO, limits=LogLimits(flush=0.001))
    book.open()
    pause = threading.Event()
    while book.dropped.total() < 5:  # each was looked at on its own, so there were five failures
        before = book.dropped.total()
        book.event("core-1", JOINED)
        while book.dropped.total() == before:
            pause.wait(0.001)
    folder.mkdir()
    for looks in range(1, 4):
        book.event("core-1", JOINED)
        while not log_path(folder, "core-1").exists() or len(texts(folder, "core-1")) < looks:
            pause.wait(0.001)
    book.close()
    assert len(caplog.records) == 1
    told = [record.detail["count"] for record in records(folder, "worker-0") if record.event == "RecordsLost"]
    assert sum(int(str(count)) for count in told) == book.dropped.total()


def test_a_record_that_cannot_be_made_costs_itself_only(make: Make, tmp_path: Path) -> None:
    book = make()
    book.event("core-1", PhaseChanged(phase="\ud800"))  # no encoding has this in a detail
    book.event("core-1", JOINED)
    book.close()
    assert texts(tmp_path, "core-1") == ["phase member: joined"]
    assert book.dropped[DEFECT] == 1


# Files


def line(number: int) -> bytes:
    return b"%04d" % number + b"x" * 15 + b"\n"


def test_rotation_keeps_the_newest_lines_and_no_file_passes_the_cap(tmp_path: Path) -> None:
    limits = LogLimits(file=100, files=3)  # 5 lines a file
    files = LogFiles(tmp_path, limits)
    for first in range(0, 40, 4):
        files.append("core-1", [line(number) for number in range(first, first + 4)])
    kept = [log_path(tmp_path, "core-1", generation) for generation in (2, 1, 0)]
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    assert all(path.stat().st_size <= 100 for path in kept)
    assert b"".join(path.read_bytes() for path in kept) == b"".join(line(n) for n in range(25, 40))


def test_a_batch_larger_than_a_file_is_spread_and_a_line_larger_than_one_stands_alone(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, LogLimits(file=100, files=9))
    files.append("core-1", [line(number) for number in range(12)])
    files.append("core-1", [b"y" * 150 + b"\n", line(12)])
    sizes = [log_path(tmp_path, "core-1", generation).stat().st_size for generation in range(5)]
    assert sizes == [20, 151, 40, 100, 100]


def test_with_one_file_the_newest_lines_are_kept_too(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, LogLimits(file=100, files=1))
    files.append("core-1", [line(number) for number in range(7)])
    assert log_path(tmp_path, "core-1").read_bytes() == line(5) + line(6)


def test_a_line_that_was_torn_by_a_kill_does_not_spoil_the_next(tmp_path: Path) -> None:
    log_path(tmp_path, "core-1").write_bytes(line(1) + b"torn")
    LogFiles(tmp_path).append("core-1", [line(2)])
    assert log_path(tmp_path, "core-1").read_bytes() == line(1) + b"torn\n" + line(2)

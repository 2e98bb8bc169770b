"""The files of a report in the folder of its run: each is there as a whole, or as it was before."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from cicada.errors import Misuse, Unavailable
from cicada.wire.decoding import UNDECODABLE
from launcher.report.eventlines import LineCounts, envelopes
from launcher.report.fold import RunReport, fold
from launcher.report.hlog import log_lines
from launcher.report.model import SCHEMA, Summary
from launcher.report.summarize import About, summarize
from launcher.report.text import lines
from launcher.runfolder import EVENTS_FILE, REPORT_FOLDER, is_running, read_info

SUMMARY_FILE: Final = "summary.json"
TEXT_FILE: Final = "summary.txt"
LOG_FILE: Final = "latency.hlog"
PAGE_FILE: Final = "report.html"
_YEAR_3000: Final = 32_503_680_000_000  # milliseconds
_PRIVATE: Final = 0o700


class _Version(msgspec.Struct):
    schema: int


def write_report(folder: Path, *, html: bool = True) -> Path:
    """Write the report of a run from its events, of as much as there is, and return its folder.

    Raises Unavailable when the events cannot be read or the report cannot be written, or a library is missing: without
    hdrhistogram nothing of a load can be told, without matplotlib all but the page is written.
    """
    report, summary = summary_of(folder)
    target = folder / REPORT_FOLDER
    _make(target)
    _write(target / SUMMARY_FILE, [msgspec.json.format(msgspec.json.encode(summary)).decode() + "\n"])
    _write(target / TEXT_FILE, (line + "\n" for line in lines(summary)))
    _write(target / LOG_FILE, (line + "\n" for line in log_lines(report, _moment(report.start_ms))))
    if html:
        from launcher.report.drawn import drawn_page

        _write(target / PAGE_FILE, drawn_page(summary))
    return target


def copy_page(report: Path, path: Path) -> None:
    """Copy the page of a report to exactly this path. Raises Unavailable as ``write_report``."""
    try:
        page = (report / PAGE_FILE).read_text(encoding="utf-8")
    except OSError as error:
        raise Unavailable(
            f"{report / PAGE_FILE} cannot be read: {error.strerror}: leave --no-html out"
        ) from None
    _write(path, [page])


def summary_of(folder: Path) -> tuple[RunReport, Summary]:
    """What the events of a run folder say, as they are now. Writes nothing."""
    counts = LineCounts()
    path = folder / EVENTS_FILE
    running = is_running(folder)  # looked at first: who has ended since has written everything
    try:
        with path.open("rb") as file:
            report = fold(envelopes(file, counts))
    except FileNotFoundError:
        raise Unavailable(
            f"{folder} has no {EVENTS_FILE}: name the folder of a run, as runs/latest, or make one with `cicada up`"
        ) from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from None
    return report, summarize(report, _about(folder, counts, running))


def read_summary(path: Path) -> Summary:
    """The summary in a file; or of a run folder, made anew from its events where it has them.

    Raises Misuse when the file is something else or of a later version, Unavailable when it cannot be read.
    """
    if path.is_dir():
        if (path / EVENTS_FILE).exists() or not (path / REPORT_FOLDER / SUMMARY_FILE).exists():
            return summary_of(path)[1]
        path = path / REPORT_FOLDER / SUMMARY_FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from None
    try:
        version = msgspec.json.decode(content, type=_Version).schema
        if version > SCHEMA:
            raise Misuse(f"{path} has schema {version}, and this program knows {SCHEMA}: use a newer one")
        return msgspec.json.decode(content, type=Summary)
    except UNDECODABLE as error:
        raise Misuse(
            f"{path} is no summary of a run ({error}): name a run folder or its summary.json"
        ) from None


def _about(folder: Path, counts: LineCounts, running: bool) -> About:
    about = About(
        run=folder.resolve().name,
        running=running,
        lines=counts.read,
        bad_lines=counts.bad,
        torn=counts.torn and not running,
    )
    info = read_info(folder)
    if info is None:
        return about
    return msgspec.structs.replace(
        about,
        run=info.run,
        name=info.name,
        version=info.version,
        git=info.git,
        host=info.host,
        seed=info.seed,
        started=info.started,
    )


def _moment(milliseconds: int) -> str:
    """For people; the epoch for a time that is none, which only a damaged recording has."""
    if not 0 <= milliseconds < _YEAR_3000:
        milliseconds = 0
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=_PRIVATE, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None


def _write(path: Path, parts: Iterable[str]) -> None:
    """Replace the file in one step; nothing is left of one that could not be written to its end."""
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        with fresh.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except Unavailable:  # drawing, not writing: it says itself what to do
        raise
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> Unavailable:
    remedy = {
        errno.ENOSPC: "free some space, then `cicada report` writes it again",
        errno.EDQUOT: "free some space, then `cicada report` writes it again",
        errno.ENOENT: "there is no such folder",
    }.get(error.errno or 0, "copy the run folder to where you may write, and name the copy")
    return Unavailable(f"{path} cannot be written: {error.strerror}: {remedy}")

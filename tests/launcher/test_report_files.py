"""The files of a report: whole or not there, readable by other tools, and a page that needs nothing else."""

from __future__ import annotations

import errno
import os
import re
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from cicada.errors import Misuse, Unavailable
from cicada.events import Envelope, RunStateChanged
from cicada.limits import REPORT
from launcher.report import read_summary, write_report
from launcher.report.files import copy_page
from launcher.report.model import Summary
from launcher.runfolder import open_run_folder
from tests.launcher.runevents import START_MS, at, broken_run, ended, fault, interval, lines, op, started

FILES: Final = {"summary.json", "summary.txt", "latency.hlog", "report.html"}
VOID: Final = {"meta", "path", "rect", "use", "br"}
HOSTILE: Final = "<script>alert(1)</script>&\"'$x^2$\x1b[2J"


@cache
def recording() -> bytes:
    return lines(broken_run(8, peers=20, rate=60))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report that tests only read: drawing takes its time."""
    return write_report(run_of(tmp_path_factory.mktemp("written"), recording()))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return run_of(tmp_path, recording())


def run_of(parent: Path, content: bytes) -> Path:
    folder = parent / "run"
    folder.mkdir()
    (folder / "events.jsonl").write_bytes(content)
    return folder


class Page(HTMLParser):
    """What a browser would see: texts, elements, and whether each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_report_has_its_four_files_and_no_others(written: Path) -> None:
    assert written.name == "report"
    assert {path.name for path in written.iterdir()} == FILES
    assert (written.stat().st_mode & 0o777) == 0o700
    assert read_summary(written / "summary.json") == read_summary(written.parent)


def test_the_same_events_give_the_same_files(written: Path, run: Path) -> None:
    again = write_report(run)
    assert [name for name in FILES if (again / name).read_bytes() != (written / name).read_bytes()] == []


def test_the_log_of_histograms_is_read_by_the_librarys_reader_and_agrees_with_the_totals(run: Path) -> None:
    path = write_report(run, html=False) / "latency.hlog"
    assert path.read_text().startswith("#[Histogram log format version 1.3]\n")
    summary = read_summary(run)
    reader: Any = HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000, 3))
    totals: dict[str, Any] = {}
    begins = []
    while (histogram := reader.get_next_interval_histogram()) is not None:
        begins.append(histogram.get_start_time_stamp())
        totals.setdefault(histogram.get_tag(), HdrHistogram(1, 3_600_000_000, 3)).add(histogram)
    reader.close()
    assert reader.get_start_time_sec() == START_MS / 1000
    assert begins == sorted(begins)
    assert begins[0] == pytest.approx(START_MS + 11_000), "a load at second 6, after 5 s of warm-up"
    assert list(totals) == [one.op for one in summary.loads[0].ops]
    for one in summary.loads[0].ops:
        assert one.response is not None
        assert totals[one.op].get_total_count() == one.response.count == one.succeeded
        assert totals[one.op].encode().decode() == one.response.histogram


def test_tags_of_several_loads_are_apart(tmp_path: Path) -> None:
    told = [
        event
        for load in (1, 2)
        for event in (
            at(load * 10.0, started(load, warmup_s=0.0)),
            at(load * 10.0 + 1, interval(0.0, [op("a, b", [1000])], load=load)),
            at(load * 10.0 + 2, ended(load)),
        )
    ]
    text = (write_report(run_of(tmp_path, lines(told)), html=False) / "latency.hlog").read_text()
    assert re.findall(r"^Tag=([^,]*),([\d.]*),", text, re.MULTILINE) == [
        ("load1.a__b", "0.000"),
        ("load2.a__b", "10.000"),
    ]


def test_the_page_needs_nothing_else_and_is_well_formed(written: Path) -> None:
    text = (written / "report.html").read_text()
    assert "http" not in text
    assert "@import" not in text
    page = Page(text)
    assert page.open == []
    names = {tag for tag, _ in page.elements}
    assert not names & {"script", "link", "iframe", "img", "image", "object", "embed"}
    for _, attributes in page.elements:
        for name, value in attributes.items():
            assert name not in {"src", "onload", "onclick"}
            if name.endswith("href"):
                assert (value or "").startswith("#")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)
    assert {one or other for one, other in used} <= set(ids)


def test_the_page_is_readable_by_day_and_by_night(written: Path) -> None:
    text = (written / "report.html").read_text()
    styles, body = text.split("</style>", 1)
    by_night = styles[styles.index("@media (prefers-color-scheme:dark)") :]
    drawn = set(re.findall(r"(fill|stroke): (#[0-9a-f]+)", body))
    assert len(drawn) > 8
    assert [one for one in drawn if f'[style*="{one[0]}: {one[1]}"]' not in by_night] == []
    assert set(re.findall(r"var\(--(\w+)\)", text)) <= set(re.findall(r"--(\w+):", by_night))


def test_the_page_shows_latencies_throughput_and_marks_of_the_load(written: Path) -> None:
    page = Page((written / "report.html").read_text())
    text = "\n".join(page.texts)
    for words in (
        "send: response time",
        "throughput",
        "response time by percentile",
        "what happened",
        "seconds since the run began",
        "#1 partition: core:50% (90 peers) and the rest (90 peers), expired",
        "worker-1 died: signal 9",
        "ring of core-44 started again: ValueError: wrong",
        "20 peers killed: core-0, core-1, core-2, core-3, core-4, ...",
        "send.p99 < 50ms",
        "178 of at least 180 peers live",
        "timed out",
    ):
        assert words in text


def test_what_strangers_wrote_is_text_and_nothing_else(tmp_path: Path) -> None:
    told: list[Envelope] = [
        at(0.0, RunStateChanged(state="proven", detail=HOSTILE)),
        at(0.5, fault(1, HOSTILE, HOSTILE, 3)),
        at(1.0, started(warmup_s=0.0, ops={HOSTILE: 1.0}, payload=HOSTILE, targets=HOSTILE)),
        at(2.0, interval(0.0, [op(HOSTILE, [1000, 2000], failed=3, failures={HOSTILE: 3})])),
        at(3.0, ended(verdict=HOSTILE, copies={HOSTILE: 1}, died=(HOSTILE,))),
        at(3.0, RunStateChanged(state="stopped", detail=HOSTILE)),
    ]
    text = (write_report(run_of(tmp_path, lines(told))) / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert "script" not in {tag for tag, _ in page.elements}
    assert "\x1b" not in text
    shown = "\n".join(page.texts)
    assert shown.count("<script>alert(1)</script>&\"'$x^2$") >= 8


def test_of_many_loads_the_last_are_drawn_and_all_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from launcher.report import drawn

    monkeypatch.setattr(drawn, "REPORT", msgspec.structs.replace(REPORT, drawn_loads=1))
    told = [
        event
        for load in (1, 2)
        for event in (
            at(load * 10.0, started(load, warmup_s=0.0)),
            at(load * 10.0 + 1, interval(0.0, [op("send", [1000])], load=load)),
        )
    ]
    text = (write_report(run_of(tmp_path, lines(told))) / "report.html").read_text()
    assert "Load 1: NOT OVER" in text
    assert text.count("and this is an earlier one") == 1
    assert "load1-" not in text
    assert "load2-" in text


def test_without_matplotlib_all_but_the_page_is_written_and_the_error_says_what_to_install(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(Unavailable, match=re.escape("pip install 'cicada-swarm[load]'")):
        write_report(run)
    assert {path.name for path in (run / "report").iterdir()} == FILES - {"report.html"}
    assert write_report(run, html=False) == run / "report"


def test_without_hdrhistogram_there_is_no_report_of_a_load_and_the_error_says_what_to_install(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("hdrh", "hdrh.histogram", "hdrh.codec"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(Unavailable, match=re.escape("pip install 'cicada-swarm[load]'")):
        write_report(run)
    assert not (run / "report").exists()
    (run / "events.jsonl").write_bytes(lines([at(0.0, RunStateChanged(state="proven"))]))
    assert write_report(run, html=False) == run / "report"


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_files_that_were_there_and_is_one_error(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = write_report(run, html=False)
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        Unavailable, match=r"summary\.json cannot be written: No space left on device: free some space"
    ):
        write_report(run)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before


def test_a_folder_that_cannot_be_written_is_one_error_that_says_what_to_do(run: Path) -> None:
    (run / "report").write_text("in the way")
    with pytest.raises(
        Unavailable, match=r"report cannot be written: .*copy the run folder to where you may write"
    ):
        write_report(run)


def test_what_is_no_run_folder_is_one_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"has no events\.jsonl: name the folder of a run"):
        write_report(tmp_path)
    (tmp_path / "events.jsonl").mkdir()
    with pytest.raises(Unavailable, match="cannot be read"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no summary of a run"),
        (b"[1]", "is no summary of a run"),
        (b'{"schema": 1}', "is no summary of a run"),
        (b'{"schema": 2}', "has schema 2, and this program knows 1: use a newer one"),
        (b"[" * 100_000, "is no summary of a run"),
        (b"\xff\xfe", "is no summary of a run"),
    ],
)
def test_what_is_no_summary_is_one_error(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "summary.json"
    path.write_bytes(content)
    with pytest.raises(Misuse, match=re.escape(words)):
        read_summary(path)


def test_a_summary_is_read_from_a_folder_without_its_events(run: Path) -> None:
    expected = read_summary(write_report(run, html=False) / "summary.json")
    (run / "events.jsonl").unlink()
    assert read_summary(run) == expected
    with pytest.raises(Unavailable, match="cannot be read"):
        read_summary(run / "nothing.json")


def test_a_copy_of_the_page_goes_to_exactly_that_path(run: Path, tmp_path: Path) -> None:
    target = write_report(run, html=False)
    (target / "report.html").write_text("<p>a page</p>")
    copy_page(target, tmp_path / "handed.on")
    assert (tmp_path / "handed.on").read_bytes() == (target / "report.html").read_bytes()
    with pytest.raises(Unavailable, match="there is no such folder"):
        copy_page(target, tmp_path / "nowhere" / "page.html")
    (target / "report.html").unlink()
    with pytest.raises(Unavailable, match="leave --no-html out"):
        copy_page(target, tmp_path / "again.html")


def test_a_launcher_that_died_within_a_line_leaves_a_report_that_says_so(tmp_path: Path) -> None:
    cut = recording()[: recording().index(b'"LoadInterval","load":1,"start_s":6.0') + 400]
    summary = read_summary(run_of(tmp_path, cut))
    assert (summary.recording.torn, summary.complete) == (True, False)
    assert "and not with the end of the run" in summary.missing[0]
    assert len(summary.loads[0].series) == 6


def test_of_a_run_that_goes_on_nothing_is_missing(tmp_path: Path) -> None:
    with open_run_folder("fake", tmp_path / "run") as folder:
        folder.events.write_bytes(lines([at(0.0, RunStateChanged(state="proven"))]) + b'{"sou')
        summary = read_summary(folder.path)
    assert (summary.complete, summary.recording.torn, summary.state) == (True, False, "proven")
    assert isinstance(summary, Summary)

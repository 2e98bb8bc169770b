"""``cicada report``: of built runs through the command line, and of a real swarm that was broken by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner, Result

from cicada.events import RunStateChanged
from launcher.cli import app
from launcher.report import read_summary
from launcher.report.schema import schema_text
from tests.launcher.runevents import at, broken_run, lines
from tests.launcher.swarms import config, free_ports, running

PEERS: Final = 6


def cicada(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "before"
    folder.mkdir()
    (folder / "events.jsonl").write_bytes(lines(broken_run(8, peers=20, rate=60)))
    return folder


@pytest.fixture(scope="module")
def slower(run: Path) -> Path:
    folder = run.with_name("after")
    folder.mkdir()
    (folder / "events.jsonl").write_bytes(lines(broken_run(40, peers=20, rate=60, seed=2)))
    return folder


def test_a_report_is_made_and_shown_and_says_where_its_page_is(run: Path) -> None:
    result = cicada("report", run)
    assert result.exit_code == 0
    assert result.stdout == (run / "report" / "summary.txt").read_text()
    assert result.stderr == f"page: {run / 'report' / 'report.html'}\n"
    assert (run / "report" / "report.html").exists()


def test_the_latest_run_is_the_default(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    missing = cicada("report")
    assert missing.exit_code == 1
    assert missing.stderr.startswith("runs/latest has no events.jsonl")
    Path("runs").mkdir()
    Path("runs/latest").symlink_to(run)
    result = cicada("report", "--no-html")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("before  ")


def test_as_json_it_is_the_file_as_it_was_written(run: Path) -> None:
    result = cicada("report", run, "--json", "--no-html")
    assert result.stdout == (run / "report" / "summary.json").read_text()
    assert json.loads(result.stdout)["schema"] == 1


def test_the_schema_is_printed_without_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cicada("report", "--schema").stdout == schema_text()


def test_a_copy_of_the_page_is_written_to_exactly_the_path_that_was_given(tmp_path: Path) -> None:
    idle, copy = tmp_path / "idle", tmp_path / "page"
    idle.mkdir()
    (idle / "events.jsonl").write_bytes(lines([at(0.0, RunStateChanged(state="proven"))]))
    result = cicada("report", idle, "-o", copy)
    assert (result.exit_code, result.stderr) == (0, f"page: {copy}\n")
    assert copy.read_text() == (idle / "report" / "report.html").read_text()
    assert sorted(tmp_path.iterdir()) == [idle, copy]


def test_a_copy_of_a_page_that_is_not_made_is_refused_at_once(run: Path, tmp_path: Path) -> None:
    result = cicada("report", run, "-o", tmp_path / "page", "--no-html")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "leave --no-html out" in result.stderr


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        ([], 0),
        (["p99 > +1000%"], 0),
        (["started > +100%"], 3),
        (["p99 > +1000%", "lost > 0"], 3),
        (["p99 > 10%"], 2),
        (["lots > 0"], 2),
    ],
)
def test_the_exit_code_of_a_comparison_is_what_its_conditions_say(
    run: Path, slower: Path, conditions: list[str], code: int
) -> None:
    options = [word for condition in conditions for word in ("--fail-if", condition)]
    result = cicada("report", "diff", run, slower, *options)
    assert result.exit_code == code
    assert bool(result.stdout) == (code != 2)
    assert ("did you mean 'lost'" in result.stderr) == (conditions == ["lots > 0"])


def test_a_folder_and_a_file_are_compared_alike(run: Path, slower: Path) -> None:
    cicada("report", slower, "--no-html")
    folders = cicada("report", "diff", run, slower, "--json")
    files = cicada("report", "diff", run, slower / "report" / "summary.json", "--json")
    assert folders.stdout == files.stdout
    found = json.loads(folders.stdout)
    assert {"metric", "unit", "a", "b", "delta", "delta_percent"} == set(found["rows"][0])


def test_a_comparison_with_what_is_not_there_was_the_wrong_name(run: Path, tmp_path: Path) -> None:
    for arguments in ((run, tmp_path / "b"), (tmp_path / "b", run)):
        result = cicada("report", "diff", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{tmp_path}/b: no such file" in result.stderr


def test_the_run_may_be_named_as_for_every_other_verb(run: Path) -> None:
    asked = (("report", run), ("report", "--run", run), ("report", "show", "--run", run))
    one, two, three = (cicada(*words, "--no-html") for words in asked)
    assert one.exit_code == 0
    assert one.stdout == two.stdout == three.stdout
    both = cicada("report", run, "--run", run)
    assert (both.exit_code, both.stdout) == (2, "")
    assert "exclude each other" in both.stderr


def test_help_shows_examples_of_both() -> None:
    result = cicada("report", "--help")
    assert result.exit_code == 0
    assert "cicada report diff" in result.stdout
    assert "--fail-if" in cicada("report", "diff", "--help").stdout


def was_recorded(folder: Path, text: str) -> bool:
    return text in (folder / "events.jsonl").read_text()


@pytest.mark.prove
def test_a_real_swarm_that_was_broken_has_it_all_in_its_report(tmp_path: Path) -> None:
    made = config(PEERS, first_port=free_ports(PEERS))
    with running(made, tmp_path / "run") as swarm:
        folder = swarm.folder
        for arguments in (
            ("fault", "freeze", "core-1"),
            ("fault", "delay", "core-2", "core-3", "20ms"),
            ("fault", "heal"),
            ("kill", "core-4", "--hard"),
        ):
            done = cicada(*arguments, "--run", folder)
            assert done.exit_code == 0, done.stderr
        swarm.wait_for(lambda status: status.dead == 1 and status.ring_proven)
        swarm.wait_for(lambda _: was_recorded(folder, '"killed"') and read_summary(folder).state == "proven")
        live = json.loads(cicada("report", folder, "--json", "--no-html").stdout)
        assert (live["complete"], live["state"]) == (True, "proven")
    result = cicada("report", folder)
    assert result.exit_code == 0, result.stderr
    summary = json.loads((folder / "report" / "summary.json").read_text())
    assert (summary["complete"], summary["state"], summary["missing"]) == (True, "stopped", [])
    assert [one["kind"] for one in summary["faults"]] == ["freeze", "delay"]
    assert all(one["until_s"] is not None for one in summary["faults"])
    killed = [one for one in summary["peers"] if one["what"] == "killed"]
    assert [(one["count"], one["named"]) for one in killed] == [(1, ["core-4"])]
    assert (summary["seed"], summary["run"]) == (7, folder.name)
    assert "proven after" in result.stdout
    page = (folder / "report" / "report.html").read_text()
    assert "what happened" in page
    assert "#1 freeze: core-1 (1 peer)" in page


def test_a_launcher_that_was_killed_leaves_a_report_that_says_so(tmp_path: Path) -> None:
    made = config(PEERS, first_port=free_ports(PEERS))
    with running(made, tmp_path / "run") as swarm:
        swarm.wait_for(lambda _: was_recorded(swarm.folder, '"proven"'))
        swarm.launcher.kill()
        swarm.launcher.wait(10)
        result = cicada("report", swarm.folder, "--no-html")
    assert result.exit_code == 0
    assert "INCOMPLETE  the recording ends after" in result.stdout

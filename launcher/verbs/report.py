"""``cicada report``: what a run was like, made from its events; and two runs compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from cicada.errors import Misuse
from launcher import output
from launcher.exits import Exit
from launcher.verbs.options import JsonOption, SameRunOption, existing, one_run

_SHOW = "show"


class _ShowsByDefault(TyperGroup):
    """``cicada report RUN`` is ``cicada report show RUN``, as long as RUN is not the name of a command."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        first = args[0] if args else ""
        if first not in self.commands and first not in ctx.help_option_names:
            args = [_SHOW, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_ShowsByDefault, no_args_is_help=False)

RunArgument = Annotated[
    Path | None, typer.Argument(metavar="[RUN]", help="Run folder; otherwise the latest.", show_default=False)
]
ASummary = Annotated[Path, typer.Argument(metavar="A", help="Run folder, or a summary.json.")]
BSummary = Annotated[Path, typer.Argument(metavar="B", help="The same: what came after, or is to be judged.")]
FailIfOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if", metavar="CONDITION", help="As 'send.p99 > +10%'; may be repeated. Exit code 3 when met."
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write the page to exactly this file, too."),
]


@app.callback()
def report() -> None:
    """What a run was like: thresholds, latencies, errors, faults and restarts, made from its events.

    \b
      cicada report                            of the latest run
      cicada report runs/chaos-20261126T101500Z-1a2b
      cicada report --json | jq '.loads[0].overall.response'
      cicada report -o chaos.html              a page to hand on
      cicada report diff runs/before runs/after --fail-if 'p99 > +10%'
      cicada report --schema                   the JSON Schema of summary.json

    Works during a run, after it, and after a launcher that was killed: then it says what is missing.
    Writes summary.json, summary.txt, latency.hlog and report.html into the folder report of the run.
    """


@app.command(name=_SHOW)
def show(
    run: RunArgument = None,
    folder: SameRunOption = None,
    as_json: JsonOption = False,
    no_html: Annotated[bool, typer.Option("--no-html", help="Draw no page.")] = False,
    copy: OutputOption = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of summary.json, and do nothing else.")
    ] = False,
) -> None:
    """Make the report of a run and show its summary. The default: `cicada report RUN` is `cicada report show RUN`.

    \b
      cicada report
      cicada report runs/latest --json --no-html
    """
    chosen = one_run(run, folder)
    if schema:
        from launcher.report.schema import schema_text

        typer.echo(schema_text(), nl=False)
        return
    if copy is not None and no_html:
        raise Misuse(f"{copy} would be a copy of the page: leave --no-html out")
    from launcher.report.files import PAGE_FILE, SUMMARY_FILE, TEXT_FILE, copy_page, write_report

    written = write_report(chosen, html=not no_html)
    typer.echo((written / (SUMMARY_FILE if as_json else TEXT_FILE)).read_text(encoding="utf-8"), nl=False)
    if copy is not None:
        copy_page(written, copy)
        output.progress(f"page: {copy}")
    elif not no_html:
        output.progress(f"page: {written / PAGE_FILE}")


@app.command()
def diff(
    a: ASummary,
    b: BSummary,
    fail_if: FailIfOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two runs, figure by figure. Exit code 3 when a condition is met, or when there is no figure to tell.

    \b
      cicada report diff runs/before runs/after
      cicada report diff runs/before runs/after --fail-if 'p99 > +10%' --fail-if 'rate < -5%'
      cicada report diff before.json after.json --fail-if 'lost > 0' --fail-if 'send.p99 > 50ms'

    A bound with a sign is a change from A to B, in per cent or absolute; one without is B's own value.
    """
    from launcher.report.conditions import parse_condition
    from launcher.report.diff import diff as compare
    from launcher.report.diff import diff_lines
    from launcher.report.files import read_summary

    conditions = [parse_condition(text) for text in fail_if or ()]
    found = compare(read_summary(existing(a)), read_summary(existing(b)), conditions)
    if as_json:
        output.show_json(found)
    else:
        output.show(diff_lines(found))
    if found.failed:
        raise typer.Exit(Exit.THRESHOLD)

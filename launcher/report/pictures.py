"""Pictures of a load, by matplotlib, which is loaded here only and may not be installed."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, zip_longest
from typing import TYPE_CHECKING, Any, Final

from cicada.errors import Unavailable
from cicada.limits import REPORT
from launcher.plaintext import seconds
from launcher.report.histograms import Spread, spread_of
from launcher.report.marks import Lane, Mark, within
from launcher.report.model import Load, Op
from launcher.report.style import LANE_COLOURS, LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISSING: Final = "report.html needs matplotlib: pip install 'cicada-swarm[load]'"

_SHAPES: Final = {Lane.DEATH: "v", Lane.RESTART: "^"}
_OP_STYLES: Final = (("blue", "-"), ("amber", "--"), ("green", "-."), ("violet", ":"))
_WIDTH: Final = 9.6  # inches, at 72 points each
_ROOM: Final = 0.11  # of the time shown, for the name of a mark
_MARGIN: Final = 0.02  # of the time shown, on either side


def check_drawing() -> None:
    """Raises Unavailable when there is nothing to draw with."""
    try:
        import matplotlib  # noqa: F401  # whether it is there is all that is asked
    except ImportError:
        raise Unavailable(MISSING) from None


def over_time(load: Load, marks: Sequence[Mark], name: str) -> str:
    """SVG: marks in lanes, below them latencies of each operation and throughput against its target, on one axis of time."""
    start, end = load.offset_s, load.offset_s + max(load.seconds, 1.0)
    shown = within(list(marks), start, end)
    ops = [op for op in load.ops if op.response is not None or any(point.p50 for point in op.series)]
    heights = [0.24 * len(Lane), *(1.6 for _ in ops), 1.9]
    with _style() as figure_of:
        figure = figure_of(_WIDTH, sum(heights) + 0.75 * len(heights))
        rows = figure.subplots(
            len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights}, squeeze=False
        )
        band, *latencies, rates = (row[0] for row in rows)
        _draw_band(band, shown, start, end)
        for axes, op in zip(latencies, ops, strict=True):
            _draw_latency(axes, load, op)
        _draw_rates(rates, load)
        for axes in (*latencies, rates):
            _draw_behind(axes, load, shown)
        margin = (end - start) * _MARGIN
        rates.set_xlim(start - margin, end + margin)
        rates.set_xlabel("seconds since the run began")
        return _svg(figure, name)


def timeline(marks: Sequence[Mark], until: float, name: str) -> str:
    """SVG: the marks of a whole run in their lanes."""
    with _style() as figure_of:
        figure = figure_of(_WIDTH, 1.9)
        axes = figure.subplots()
        _draw_band(axes, marks, 0.0, until)
        margin = max(until, 1.0) * _MARGIN
        axes.set_xlim(-margin, max(until, 1.0) + margin)
        axes.set_xlabel("seconds since the run began")
        return _svg(figure, name)


def percentiles(load: Load, name: str) -> str:
    """SVG: response times by percentile, the rarest stretched most, as HdrHistogram plots them; service times dotted."""
    with _style() as figure_of:
        figure = figure_of(_WIDTH, 3.6)
        axes = figure.subplots()
        most = 10.0
        for op, (colour, line) in zip(load.ops, _OP_STYLES * len(load.ops), strict=False):
            if op.response is not None:
                spread = spread_of([op.response.histogram])
                most = max(most, float(spread.total))
                axes.plot(*_curve(spread), color=LIGHT[colour], linestyle=line, linewidth=1.8, label=op.op)
            if op.service is not None:
                curve = _curve(spread_of([op.service.histogram]))
                axes.plot(*curve, color=LIGHT[colour], linestyle=(0, (1, 1.5)), linewidth=1.1)
        axes.plot([], [], color=LIGHT["ink"], linestyle=":", linewidth=1.1, label="from the actual start")
        _percentile_axis(axes, most)
        _latency_axis(axes)
        axes.set_title("response time by percentile", loc="left")
        _legend(axes)
        return _svg(figure, name)


def _draw_band(axes: Axes, marks: Sequence[Mark], since: float, until: float) -> None:
    """Every kind of mark in a lane of its own, so that however many there are none hides a curve."""
    lanes = list(Lane)
    for row, lane in enumerate(lanes):
        here = [mark for mark in marks if mark.lane is lane]
        colour = LIGHT[LANE_COLOURS[lane]]
        spans = [(mark.at_s, mark.until_s - mark.at_s) for mark in here if mark.until_s is not None]
        axes.broken_barh(
            spans, (row - 0.32, 0.64), facecolor=colour, edgecolor=colour, linewidth=1.0, alpha=0.75
        )
        instants = [mark.at_s for mark in here if mark.until_s is None]
        axes.plot(instants, [row] * len(instants), _SHAPES.get(lane, "o"), color=colour, markersize=6.5)
        _name_marks(axes, here, row, since, until)
    axes.set_yticks(range(len(lanes)), [lane.value for lane in lanes])
    axes.set_ylim(len(lanes) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_title("what happened", loc="left")


def _name_marks(axes: Axes, marks: Sequence[Mark], row: int, since: float, until: float) -> None:
    """What each of a lane is, where there is room until the next one; nothing when they are many."""
    for mark, after in zip_longest(marks, marks[1:]) if len(marks) <= REPORT.labelled else ():
        room = (after.at_s if after is not None else until) - mark.at_s
        if room >= (until - since) * _ROOM:
            beside = 7 if mark.until_s is None else 3
            axes.annotate(
                mark.label, (mark.at_s, row), (beside, 0), textcoords="offset points", va="center", fontsize=8
            )


def _draw_latency(axes: Axes, load: Load, op: Op) -> None:
    times = [load.offset_s + (point.start_s + point.end_s) / 2 for point in op.series]
    for label, colour, line, values in (
        ("p50", "blue", "-", [point.p50 for point in op.series]),
        ("p90", "amber", "-", [point.p90 for point in op.series]),
        ("p99", "violet", "-", [point.p99 for point in op.series]),
        ("max", "ink", ":", [point.max for point in op.series]),
    ):
        width = 0.9 if label == "max" else 1.5
        axes.plot(times, _numbers(values), line, color=LIGHT[colour], linewidth=width, label=label)
    _latency_axis(axes)
    axes.set_title(f"{op.op}: response time", loc="left")
    _legend(axes)


def _draw_rates(axes: Axes, load: Load) -> None:
    """Operations a second that succeeded and failed, against what was intended."""
    edges = [load.offset_s + point.start_s for point in load.series]
    edges += [load.offset_s + point.end_s for point in load.series[-1:]]
    lengths = [max(point.end_s - point.start_s, 1e-9) for point in load.series]

    def rate(counts: Sequence[int]) -> list[float]:
        return [count / length for count, length in zip(counts, lengths, strict=True)]

    failed = rate([point.failed for point in load.series])
    unbegun = rate([point.dropped for point in load.series])
    if load.series:
        axes.stairs(
            rate([point.succeeded for point in load.series]),
            edges,
            baseline=None,
            color=LIGHT["blue"],
            linewidth=1.5,
            label="succeeded",
        )
        axes.stairs(failed, edges, fill=True, color=LIGHT["red"], alpha=0.85, label="failed")
        if any(unbegun):
            axes.stairs(
                unbegun,
                edges,
                baseline=None,
                color=LIGHT["violet"],
                linestyle="-.",
                linewidth=1.2,
                label="never begun",
            )
    if any(point.target for point in load.series):
        target = [point.target for point in load.series]
        axes.stairs(
            target, edges, baseline=None, color=LIGHT["ink"], linestyle="--", linewidth=1.1, label="target"
        )
    axes.set_ylabel("operations a second")
    axes.set_ylim(bottom=0)
    axes.set_title("throughput", loc="left")
    _legend(axes)


def _draw_behind(axes: Axes, load: Load, marks: Sequence[Mark]) -> None:
    """Shades for what lasts and thin lines for what does not, behind the curves; only as many as one can tell apart."""
    if load.description is not None and load.description.warmup_s:
        until = load.offset_s + load.description.warmup_s
        axes.axvspan(load.offset_s, until, color=LIGHT["faint"], alpha=0.35, linewidth=0, zorder=0)
    for lane in Lane:
        here = [mark for mark in marks if mark.lane is lane]
        colour = LIGHT[LANE_COLOURS[lane]]
        if len(here) > REPORT.labelled or lane is Lane.RING:
            continue
        for mark in here:
            if mark.until_s is not None:
                axes.axvspan(mark.at_s, mark.until_s, color=colour, alpha=0.12, linewidth=0, zorder=0)
            else:
                axes.axvline(
                    mark.at_s, color=colour, alpha=0.8, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0
                )


def _curve(spread: Spread) -> tuple[list[float], list[float]]:
    """One over the share of values that are longer, and the value; the longest is drawn where its share would be one of all."""
    total = spread.total
    shares = [1.0] + [total / max(total - seen, 1) for seen in accumulate(spread.counts)]
    return shares, [spread.values[0], *spread.values]


def _percentile_axis(axes: Axes, most: float) -> None:
    axes.set_xscale("log")
    ticks = [(1.0, "0%"), (2.0, "50%"), (4.0, "75%"), (10.0, "90%")]
    power, text = 100.0, "99%"
    while power <= most:
        ticks.append((power, text))
        power, text = power * 10, f"{text[:-1]}{'.' if len(text) == 3 else ''}9%"
    axes.set_xticks([at for at, _ in ticks], [label for _, label in ticks])
    axes.minorticks_off()
    axes.set_xlim(1.0, most * 1.1)
    axes.set_xlabel("percentile")


def _latency_axis(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    steps = (1.0, 2.0, 5.0) if 0 < low < high <= low * 1000 else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: seconds(float(value))))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _legend(axes: Axes) -> None:
    """On the title's line, so that it covers no curve."""
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 0.98),
            ncols=len(handles),
            frameon=False,
            borderaxespad=0.0,
        )


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


@contextmanager
def _style() -> Iterator[Callable[[float, float], Figure]]:
    """How all pictures look, for as long as one is drawn; figures of a width and height are made by what this yields."""
    check_drawing()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    ink, faint = LIGHT["ink"], LIGHT["faint"]
    looks: dict[Any, Any] = {
        "svg.hashsalt": "cicada",
        "svg.fonttype": "none",
        "text.parse_math": False,
        "font.size": 9,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": faint,
        "axes.labelcolor": ink,
        "axes.titlecolor": ink,
        "text.color": ink,
        "xtick.color": ink,
        "ytick.color": ink,
        "grid.color": faint,
        "grid.linewidth": 0.6,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "savefig.facecolor": "none",
    }
    with mpl.rc_context(looks):
        yield lambda width, height: Figure(figsize=(width, height), layout="constrained")


def _svg(figure: Figure, name: str) -> str:
    """The ``<svg>`` element alone: what files need besides, a page does not. ``name`` keeps ids of several apart."""
    target = io.StringIO()
    figure.savefig(target, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = target.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:xmlns(?::\w+)?|version)="[^"]*"', "", text)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    return re.sub(r'href="#', f'href="#{name}-', text)

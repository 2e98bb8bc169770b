"""Pictures of simulations, by matplotlib, which is loaded here only and may not be installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cicada.errors import Misuse, Unavailable
from cicada.sim.report import FAILED, HIGH, LOW, MEAN, Case, Report
from cicada.sim.running import RunResult
from launcher.sim.simulate import figure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FORMATS = (".svg", ".png", ".pdf")
_BEFORE, _AFTER = 2.0, 1.0  # seconds shown around what happens
_SHOWN_RUNS = 20


def check_plot(path: Path) -> None:
    """Raises Misuse for a file that cannot be drawn into, Unavailable when there is nothing to draw with."""
    if path.suffix not in _FORMATS:
        raise Misuse(f"{path}: a picture ends in {', '.join(_FORMATS)}")
    if not path.parent.is_dir():
        raise Misuse(f"{path}: there is no folder {path.parent}")
    try:
        import matplotlib  # noqa: F401  # whether it is there is all that is asked
    except ImportError:
        raise Unavailable("pictures need matplotlib: pip install 'cicada-swarm[load]'") from None


def draw(found: Report, path: Path) -> None:
    """One picture: paths or failed lookups by the values of a sweep, or else how the ring converges over time."""
    check_plot(path)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update(
        {
            "svg.hashsalt": "cicada",
            "font.size": 9,
            "svg.fonttype": "none",
            "axes.grid": True,
            "grid.alpha": 0.3,
        }
    )
    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = figure.subplots()
    if found.swept == "peers" and figure_of(found.cases[0], f"lookup {MEAN}") is not None:
        _draw_paths(axes, found.cases)
    elif found.swept == "peers":
        _draw_costs(axes, found.cases)
    elif found.swept == "churn":
        _draw_churn(axes, found)
    else:
        _draw_convergence(axes, found.runs)
    axes.set_title(found.about)
    metadata = {"Date": None} if path.suffix == ".svg" else None  # the same picture for the same result
    figure.savefig(path, metadata=metadata)


def _draw_paths(axes: Axes, cases: Sequence[Case]) -> None:
    sizes = [float(case.peers) for case in cases]
    for part, colour in (("lookup", "tab:blue"), ("message", "tab:orange")):
        means = _column(cases, f"{part} {MEAN}")
        if any(mean is not None for mean in means):
            low = _numbers(_column(cases, f"{part} {LOW}"))
            high = _numbers(_column(cases, f"{part} {HIGH}"))
            axes.plot(
                sizes, _numbers(means), "o-", color=colour, label=f"{part}s, mean and 1st to 99th percentile"
            )
            axes.fill_between(sizes, low, high, color=colour, alpha=0.12, linewidth=0)
    if cases[0].beside is not None:
        axes.plot(sizes, _numbers([case.beside for case in cases]), "k--", label="½ log₂ N")
    axes.set_xscale("log", base=2)
    axes.set_xlabel("peers")
    axes.set_ylabel("hops")
    axes.set_ylim(bottom=0)
    axes.legend()


def _draw_costs(axes: Axes, cases: Sequence[Case]) -> None:
    """Two scales: how many peers one knows, and what it sends."""
    sizes = [float(case.peers) for case in cases]
    other = axes.twinx()
    known, messages = (_numbers(_column(cases, name)) for name in ("known peers", "ring messages"))
    lines = [
        *axes.plot(sizes, known, "o-", color="tab:blue", label="known peers (left)"),
        *other.plot(sizes, messages, "s-", color="tab:orange", label="ring messages a second (right)"),
    ]
    axes.set_xscale("log", base=2)
    axes.set_xlabel("peers")
    axes.set_ylabel("known peers, each")
    other.set_ylabel("ring messages a peer and second")
    for scale in (axes, other):
        scale.set_ylim(bottom=0)
    other.grid(visible=False)
    axes.legend(handles=lines)


def _draw_churn(axes: Axes, found: Report) -> None:
    rates = [case.value or 0.0 for case in found.cases]
    failed = [100 * share for share in _numbers(_column(found.cases, FAILED))]
    beside = [100 * share for share in _numbers([case.beside for case in found.cases])]
    axes.plot(rates, failed, "o-", label="Cicada")
    if any(beside):
        axes.plot(rates, beside, "k--", marker="s", label=found.source)
    axes.set_yscale("log")
    axes.set_xlabel("joins and failures a second, each")
    axes.set_ylabel("lookups that failed, %")
    axes.legend()


def _draw_convergence(axes: Axes, runs: Sequence[RunResult]) -> None:
    """Peers with a wrong head, and with anything wrong, from the last fault on."""
    origin = max((reached.after for run in runs for reached in run.reached), default=0.0)
    last = max((point.at - origin for run in runs for point in run.points), default=1.0)
    for number, run in enumerate(runs[:_SHOWN_RUNS]):
        times = [*(point.at - origin for point in run.points), run.seconds - origin]
        for values, colour, label in (
            ([point.wrong for point in run.points], "tab:blue", "anything wrong in their lists"),
            ([point.wrong_heads for point in run.points], "tab:red", "a wrong first successor"),
        ):
            axes.step(
                times,
                [*values, values[-1]],
                where="post",
                color=colour,
                alpha=1.0 if number == 0 else 0.25,
                linewidth=1.0,
                label=f"peers with {label}" if number == 0 else None,
            )
    axes.set_xlim(-_BEFORE, last + _AFTER)
    axes.set_xlabel("virtual seconds since the last fault")
    axes.set_ylabel("live peers")
    axes.set_ylim(bottom=0)
    axes.legend()


def _column(cases: Sequence[Case], name: str) -> list[float | None]:
    return [figure_of(case, name) for case in cases]


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]

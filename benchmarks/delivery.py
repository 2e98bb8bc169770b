"""Delivery against the fraction of bad relays, by the number of copies: coloured ways, and plain Chord with excluded first hops.

    python -m benchmarks.delivery [--peers 1000] [--messages 1000] [--attempts 1] [--plot docs/delivery.svg] [--json]

Every point is a run of the simulator (cicada/sim): half of the bad peers drop what they relay, half change a byte of it.
Messages go between honest peers that have a session; none goes direct. A point says which share of them was in the
destination's mailbox. Pictures need matplotlib.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from pathlib import Path

from cicada.sim.running import Run
from cicada.sim.scenario import Scenario
from cicada.sim.scenariofile import parse_scenario
from cicada.sim.traffic import Messages

COPIES = (1, 2, 4, 6)
FRACTIONS = (0.0, 0.1, 0.2, 0.3, 0.4)
SCHEMES = ("coloured ways", "plain Chord, excluded first hops")
SECONDS = 4.0  # in which the messages leave
TIMEOUT = 4.0  # seconds for each of them
COLOURS = ("tab:red", "tab:orange", "tab:green", "tab:blue")

Points = dict[str, dict[int, dict[float, Messages]]]


def scenario(peers: int, messages: int, attempts: int, fraction: float, copies: int) -> Scenario:
    bad = "".join(
        f'[[bad]]\nselect = "{fraction * 50:g}%"\nbehaviour = "{kind}"\n'
        for kind in ("drop", "alter")
        if fraction
    )
    return parse_scenario(
        f"""
        [sim]
        name = "delivery"
        peers = {peers}
        duration = "{SECONDS + TIMEOUT + 2:g}s"
        [load]
        at = "1s"
        until = "{SECONDS + 1:g}s"
        messages = {messages / SECONDS:g}
        duplicates = {copies - 1}
        timeout = "{TIMEOUT:g}s"
        warm = true
        [delivery]
        attempts = {attempts}
        direct = false
        beside = "plain"
        {bad}
        """
    )


def measured(peers: int, messages: int, attempts: int) -> Points:
    found: Points = {scheme: {copies: {} for copies in COPIES} for scheme in SCHEMES}
    for copies in COPIES:
        for fraction in FRACTIONS:
            gc.collect()
            run = Run(scenario(peers, messages, attempts, fraction, copies), seed=1)
            while run.advance():
                pass
            result = run.result()
            for scheme, what in zip(SCHEMES, (result.messages, result.beside), strict=True):
                if what is not None:
                    found[scheme][copies][fraction] = what
            print(
                f"{copies} copies, {fraction:.0%} bad: {result.messages.delivered_share:.2%}", file=sys.stderr
            )
    return found


def table(points: Points) -> str:
    lines = ["| scheme | copies |" + "".join(f" {fraction:.0%} bad |" for fraction in FRACTIONS)]
    lines.append("| --- | --- |" + " --- |" * len(FRACTIONS))
    for scheme, by_copies in points.items():
        for copies, by_fraction in by_copies.items():
            cells = "".join(f" {by_fraction[fraction].delivered_share:.1%} |" for fraction in FRACTIONS)
            lines.append(f"| {scheme} | {copies} |{cells}")
    return "\n".join(lines)


def draw(points: Points, title: str, path: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.hashsalt": "cicada", "font.size": 9, "svg.fonttype": "none", "axes.grid": True})
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    axes = figure.subplots()
    for scheme, line in zip(SCHEMES, ("o-", "s--"), strict=True):
        for copies, colour in zip(COPIES, COLOURS, strict=True):
            shares = [100 * points[scheme][copies][fraction].delivered_share for fraction in FRACTIONS]
            words = f"{copies} {'copy' if copies == 1 else 'copies'}, {scheme}"
            axes.plot([100 * fraction for fraction in FRACTIONS], shares, line, color=colour, label=words)
    axes.set_xlabel("peers that drop or alter what they relay, %")
    axes.set_ylabel("messages delivered, %")
    axes.set_ylim(top=101)
    axes.grid(alpha=0.3)
    axes.set_title(title)
    axes.legend(fontsize=7)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--attempts", type=int, default=1)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    points = measured(options.peers, options.messages, options.attempts)
    if options.json:
        shares = {
            scheme: {
                copies: {f"{at:g}": what.delivered_share for at, what in row.items()}
                for copies, row in rows.items()
            }
            for scheme, rows in points.items()
        }
        print(json.dumps(shares, indent=2))
    else:
        print(table(points))
    if options.plot is not None:
        attempts = "one attempt" if options.attempts == 1 else f"at most {options.attempts} attempts"
        draw(points, f"{options.peers} peers, {attempts}", options.plot)


if __name__ == "__main__":
    main()

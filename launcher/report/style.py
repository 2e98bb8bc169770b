"""How the page and its pictures look, by day and by night."""

from __future__ import annotations

from typing import Final

from launcher.report.marks import Lane

LIGHT: Final = {
    "ink": "#1d2733",
    "faint": "#c9d0d8",
    "blue": "#0072b2",
    "amber": "#d98200",
    "violet": "#b0508c",
    "red": "#d55e00",
    "green": "#009e73",
    "sky": "#56b4e9",
    "slate": "#7a8794",
}
"""Okabe and Ito's colours, made a little darker where white is behind them: people with any colour vision tell them apart."""

_DARK: Final = {
    "ink": "#dfe5ec",
    "faint": "#3a4552",
    "blue": "#4aa8e8",
    "amber": "#f0a93c",
    "violet": "#e08fc0",
    "red": "#ff8a3d",
    "green": "#2fc99a",
    "sky": "#7cc8f5",
    "slate": "#93a1af",
}

LANE_COLOURS: Final = {Lane.FAULT: "slate", Lane.DEATH: "red", Lane.RESTART: "green", Lane.RING: "sky"}

CHIPS: Final[dict[str, str]] = {
    name: f'<path d="{shape}" style="fill: {LIGHT[colour]}"/>'
    for name, shape, colour in (
        (Lane.FAULT, "M1 4h14v8h-14z", LANE_COLOURS[Lane.FAULT]),
        (Lane.DEATH, "M3 3h10l-5 10z", LANE_COLOURS[Lane.DEATH]),
        (Lane.RESTART, "M3 13h10l-5-10z", LANE_COLOURS[Lane.RESTART]),
        (Lane.RING, "M1 4h14v8h-14z", LANE_COLOURS[Lane.RING]),
        ("warm-up", "M1 4h14v8h-14z", "faint"),
    )
}
"""Paths in a square of 16 that stand for the lanes in a legend."""


def _pictures_by_night() -> str:
    """Pictures have LIGHT colours in them, so that they look right wherever they are taken; by night these rules win."""
    return "".join(
        f'svg [style*="{what}: {colour}"]{{{what}:{_DARK[name]}!important}}'
        for name, colour in LIGHT.items()
        for what in ("fill", "stroke")
    )


def _variables(colours: dict[str, str], paper: str, panel: str) -> str:
    return "".join(
        f"--{name}:{colour};" for name, colour in (colours | {"paper": paper, "panel": panel}).items()
    )


STYLE: Final = f"""\
:root{{color-scheme:light dark;{_variables(LIGHT, "#ffffff", "#f5f7f9")}}}
@media (prefers-color-scheme:dark){{:root{{{_variables(_DARK, "#12171d", "#1a2129")}}}
{_pictures_by_night()}}}
body{{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}}
main{{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 4rem}}
header{{display:flex;flex-wrap:wrap;gap:.75rem;align-items:center}}
h1{{font-size:1.4rem;margin:0;overflow-wrap:anywhere}}
h2{{font-size:1.15rem;margin:2.2rem 0 .3rem;border-top:1px solid var(--faint);padding-top:1.2rem}}
h3{{font-size:.95rem;margin:1.4rem 0 .4rem}}
p{{margin:.4rem 0}}
.badge{{padding:.1rem .6rem;border-radius:1rem;border:1px solid currentColor;font-size:.85rem;font-weight:600}}
.good{{color:var(--green)}}
.bad{{color:var(--red);font-weight:600}}
.warning,.missing{{border-left:3px solid var(--red);background:var(--panel);padding:.5rem .8rem .5rem 1rem}}
.missing{{list-style:none;margin:1rem 0}}
dl{{display:flex;flex-wrap:wrap;gap:.3rem 2rem;margin:.8rem 0}}
dl div{{display:block}}
dt,dd{{display:inline}}
dt{{color:var(--slate);margin-right:.5rem}}
dd{{margin:0;overflow-wrap:break-word}}
.wide{{overflow-x:auto}}
table{{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}}
th,td{{text-align:left;padding:.25rem .9rem .25rem 0;border-bottom:1px solid var(--faint);vertical-align:top}}
th{{color:var(--slate);font-weight:500;white-space:nowrap}}
td{{overflow-wrap:break-word}}
.number{{white-space:nowrap;text-align:right}}
figure{{margin:1rem 0;overflow-x:auto}}
figure svg{{width:100%;min-width:36rem;height:auto;stroke-linejoin:round}}
.legend{{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;margin:1rem 0 0;padding:0;font-size:.85rem}}
.legend b{{margin-right:.3rem}}
.chip{{width:1rem;height:1rem;vertical-align:-.15rem;margin-right:.3rem}}
@media print{{figure,table{{break-inside:avoid}}}}
"""

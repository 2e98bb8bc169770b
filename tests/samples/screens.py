"""Pictures of screens for the pages: SVG, which refers to nothing on the network."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from tests.samples.terminals import COLUMNS, ROOT

IMAGES: Final = ROOT / "docs" / "images"
_ELSEWHERE: Final = re.compile(r"\s*(@font-face\s*\{[^}]*\}|<!--.*?-->)", re.DOTALL)


def picture(coloured: str, title: str) -> str:
    """A screen with its colours, as SVG in a window of this title."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), legacy_windows=False)
    console.print(Text.from_ansi(coloured.rstrip("\n")), overflow="crop", no_wrap=True)
    drawn = _ELSEWHERE.sub("", console.export_svg(title=title, unique_id=f"screen-{title}"))
    return (
        drawn.replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas").replace(
            "arial;", "arial, sans-serif;"
        )
        + "\n"
    )


def save(name: str, coloured: str, title: str) -> Path:
    """Write the picture to where the pages have it; its path."""
    path = IMAGES / f"{name}.svg"
    path.write_text(picture(coloured, title))
    return path

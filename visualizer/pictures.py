"""Pictures in files."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pygame

from cicada.errors import Unavailable


def keep_picture(surface: pygame.Surface, path: Path) -> None:
    """Write a picture; whoever finds the file finds it whole. Raises Unavailable when it cannot be written."""
    fresh = path.with_name(f".{path.name}")  # the end of the name says which kind of picture it is
    try:
        pygame.image.save(surface, os.fspath(fresh))
        fresh.replace(path)
    except (pygame.error, OSError) as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise Unavailable(f"the picture {path} cannot be written: {error}") from None

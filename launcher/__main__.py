"""``python -m launcher`` is the ``cicada`` command."""

from __future__ import annotations

from launcher.cli import main

if __name__ == "__main__":
    main()

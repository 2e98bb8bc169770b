"""A file of 1 GiB, as users share and fetch it, beside a plain TCP copy in the same run."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fileshare import measure

GIBIBYTE: int = 1024
MEMORY_MIB: int = 200
LEAST_RATIO: float = 0.01  # to the plain copy; 0.1 and more on a calm machine, which a busy one may not reach


@pytest.mark.prove
def test_a_gibibyte_comes_whole_from_one_from_three_and_past_a_kill_in_little_memory(tmp_path: Path) -> None:
    """``measure`` compares what came with what was shared, each time."""
    row = measure(GIBIBYTE, 512, tmp_path)
    print(*(f"{name:26} {value:9.2f}" for name, value in row.items()), sep="\n")
    for way in ("one", "three", "killed"):
        assert row[f"{way} fetcher MiB"] < MEMORY_MIB
        assert row[f"{way} sharer MiB"] < MEMORY_MIB
        assert row[f"{way} / plain"] > LEAST_RATIO
    assert 0.5 <= row["killed there at the kill"] < 1.0

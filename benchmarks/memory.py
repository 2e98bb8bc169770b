"""Memory per hosted peer of running swarms: (PSS of the larger - PSS of the smaller) / difference in peers.

    cicada up configs/swarm-200.toml -n core=100 -d --run RUN_A        (and one of 200 at other ports as RUN_B)
    python -m benchmarks.memory RUN_A RUN_B [--json]

Let both stand until tables are settled and idle links closed: about ten minutes. Counts the worker processes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cicada.commands import AnyCommand, AnyReply, GetStatus, Status
from cicada.control import SyncRemoteRef

KIB = 1024
ANSWER_S = 30.0


def proportional_set_size(pid: int) -> int:
    """Bytes of a process, shared pages divided among those that share them (Linux)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * KIB
    raise OSError(f"no PSS of process {pid}")


def status_of(run: Path) -> Status:
    """A running swarm's status."""
    control = json.loads((run / "run.json").read_text())["control"]
    reference: SyncRemoteRef[AnyCommand, AnyReply] = SyncRemoteRef(
        control, commands=AnyCommand, replies=AnyReply, what="launcher"
    )
    with reference as launcher:
        status = launcher.ask(GetStatus(), ANSWER_S)
    if not isinstance(status, Status):
        raise SystemExit(f"{run}: {status}")
    return status


def measured(run: Path) -> tuple[int, int]:
    """Peers of a running swarm, and the bytes its workers hold."""
    status = status_of(run)
    return status.joined, sum(proportional_set_size(worker.pid) for worker in status.workers)


def main() -> None:
    """Print the memory of both swarms and of one peer more."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    (few, small), (many, large) = sorted(measured(run) for run in options.runs)
    marginal = (large - small) / (many - few)
    if options.json:
        print(json.dumps({"peers": [few, many], "pss": [small, large], "bytes_per_peer": marginal}))
    else:
        print(
            f"{few} peers {small / KIB / KIB:.1f} MiB, {many} peers {large / KIB / KIB:.1f} MiB: "
            f"{marginal / KIB:.0f} KiB a peer"
        )


if __name__ == "__main__":
    main()

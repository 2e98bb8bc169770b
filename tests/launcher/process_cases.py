"""What test_process.py runs in a program of its own: worker processes, and the fork server with them, end with it.

Workers import their main from this module; the program itself, ``__main__``, they never see.

``python -m tests.launcher.process_cases CASE`` prints what happened as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sys
import tempfile
import threading
from pathlib import Path

from cicada.errors import Unavailable
from launcher.process import Ready, WorkerProcess, WorkerSpec, start_fork_server

PATIENCE = 20.0
IMPATIENCE = 0.3


def answers(spec: WorkerSpec, ready: Ready) -> None:
    """Ready at once, and stays until it is killed."""
    ready()
    threading.Event().wait()


def dies(spec: WorkerSpec, ready: Ready) -> None:
    sys.exit(3)


def is_silent(spec: WorkerSpec, ready: Ready) -> None:
    threading.Event().wait()


def finishes(spec: WorkerSpec, ready: Ready) -> None:
    ready()


def looks_around(spec: WorkerSpec, ready: Ready) -> None:
    """Write down what the process is like."""
    found = {
        "core_limit": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "ignores_interrupts": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
        "has_the_program": hasattr(sys.modules["__main__"], "CASES"),
        "preloaded": "cicada.aio" in sys.modules,
        "name": spec.name,
    }
    (Path(spec.control_folder) / "found.json").write_text(json.dumps(found))
    ready()


CASES = {case.__name__: case for case in (answers, dies, is_silent, finishes, looks_around)}


async def run(case: str, folder: str) -> dict[str, object]:
    spec = WorkerSpec(name="worker-0", control="", events="", control_folder=folder, logs=folder)
    worker = WorkerProcess(spec, CASES[case])
    outcome: dict[str, object] = {"pid": worker.pid, "ready": True, "problem": ""}
    try:
        await worker.ready(IMPATIENCE if case == "is_silent" else PATIENCE)
    except Unavailable as error:
        outcome |= {"ready": False, "problem": str(error)}
    outcome["alive"] = worker.alive
    if case in ("answers", "is_silent"):
        worker.kill()
    outcome["ended"] = await asyncio.wait_for(worker.ended(), PATIENCE)
    worker.close()
    found = Path(folder) / "found.json"
    return outcome | (json.loads(found.read_text()) if found.exists() else {})


if __name__ == "__main__":
    from tests.launcher import (
        process_cases,
    )  # workers import their main from a module; they never see this program

    start_fork_server()
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(asyncio.run(process_cases.run(sys.argv[1], temporary))))

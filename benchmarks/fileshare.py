"""Files shared through a swarm (samples/fileshare.py), beside a plain TCP copy of as many bytes in the same run.

    python -m benchmarks.fileshare [--mib 1024] [--chunk KIB] [--repeat N] [--json]

Each round: a plain copy over TCP on loopback from one process to a file of another; then through the swarm, from one peer, from
three at once, and from three with the fetch killed by SIGKILL in the middle and begun again. All peers are processes of their own,
as users start them, with encrypted links and sessions; the plain copy is neither encrypted nor checked. Times of the swarm are
those of whole commands, from starting the interpreter to its end. What came is compared with what was shared.
"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

MIB = 1024 * 1024
SAMPLE = Path(__file__).parent.parent / "samples" / "fileshare.py"
START_S = 120.0  # for a sharing process to hash the file and print its link
FETCH_S = 1800.0
KILL_AT = 0.5  # share of the file that is there when the fetch is killed
LOOK_S = 0.02
SHARERS = 3
Row = dict[str, float]


def make_file(path: Path, mib: int) -> None:
    """A file that nobody can compress."""
    random = Random(mib)
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(random.randbytes(MIB))


# Plain TCP

_SEND = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as stream, open(sys.argv[2], "rb") as file:
    while piece := file.read(1 << 20):
        stream.sendall(piece)
"""


def plain_copy(source: Path, target: Path) -> float:
    """Seconds for a copy by ``read``, ``sendall``, ``recv`` and ``write`` between two processes."""
    buffer = bytearray(MIB)
    with socket.create_server(("127.0.0.1", 0)) as server, target.open("wb") as file:
        began = time.perf_counter()
        command = [sys.executable, "-c", _SEND, str(server.getsockname()[1]), str(source)]
        with subprocess.Popen(command):
            stream, _ = server.accept()
            with stream:
                while size := stream.recv_into(buffer):
                    file.write(memoryview(buffer)[:size])
            os.fsync(file.fileno())
            return time.perf_counter() - began


# The swarm


class Sharers:
    """Processes that share the same file, in one swarm."""

    def __init__(self, source: Path, count: int, chunk: int, cache: Path) -> None:
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
        self.links: list[str] = []
        self._processes: list[subprocess.Popen[str]] = []
        for _ in range(count):
            join = ["--join", self.address(0)] if self.links else []
            command = [sys.executable, str(SAMPLE), "share", str(source), "--chunk", str(chunk), *join]
            process = subprocess.Popen(
                command,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            self._processes.append(process)
            self.links.append(_line(process))

    def address(self, number: int) -> str:
        """Where one of them is."""
        return self.links[number].rpartition("=")[2]

    def peak_mib(self) -> float:
        """The most memory that any of them had in use so far."""
        return max(_peak_mib(process.pid) for process in self._processes)

    def close(self) -> None:
        """End them."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.communicate(timeout=10)


def _line(process: subprocess.Popen[str]) -> str:
    if process.stdout is None or not (line := process.stdout.readline().strip()):
        raise RuntimeError("a sharing process said nothing")
    return line


def _peak_mib(pid: int) -> float:
    """Zero for a process that has ended."""
    _, found, rest = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")
    return int(rest.split()[0]) / 1024 if found else 0.0


@contextlib.contextmanager
def sharers(source: Path, count: int, chunk: int, cache: Path) -> Iterator[Sharers]:
    """So many of them, ended afterwards."""
    them = Sharers(source, count, chunk, cache)
    try:
        yield them
    finally:
        them.close()


def fetch(them: Sharers, folder: Path) -> subprocess.Popen[bytes]:
    """A process that fetches what they share; it finds who has it by asking the swarm."""
    digest = them.links[0].partition(":")[2].partition("?")[0]
    command = [sys.executable, str(SAMPLE), "fetch", digest, "--join", them.address(0), "--to", str(folder)]
    return subprocess.Popen(command, env=them.environment, stdout=subprocess.DEVNULL)


def finished(process: subprocess.Popen[bytes]) -> Row:
    """Wait for its success; the most memory that it had in use, and seconds of processor time."""
    peak = 0.0  # not ru_maxrss: that counts what this process had in use when it started the other
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        peak = max(peak, _peak_mib(process.pid))
        time.sleep(LOOK_S)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"a fetch ended with {process.returncode}")
    return {"fetcher MiB": peak, "fetcher cpu s": usage.ru_utime + usage.ru_stime}


def kill_in_the_middle(process: subprocess.Popen[bytes], folder: Path, size: int) -> float:
    """SIGKILL when about KILL_AT of the file is stored; the share of the file that is."""
    deadline = time.perf_counter() + FETCH_S
    while (share := _stored(folder, size)) < KILL_AT and process.poll() is None:
        if time.perf_counter() > deadline:
            raise TimeoutError("half a file did not come")
        time.sleep(LOOK_S)
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        raise RuntimeError("the fetch was over before it could be killed: use a larger file")
    return share


def _stored(folder: Path, size: int) -> float:
    return sum(part.stat().st_blocks * 512 for part in folder.glob("*.part")) / size


def through_the_swarm(source: Path, work: Path, count: int, chunk: int, *, kill: bool = False) -> Row:
    """One fetch from so many sharers. Seconds, memory of the largest process of either kind in MiB, processor time of the fetch
    that ended, and the share of the file that was there when an earlier one was killed."""
    folder = work / "fetched"
    folder.mkdir()
    with sharers(source, count, chunk, work / "cache") as them:
        began = time.perf_counter()
        row: Row = {}
        process = fetch(them, folder)
        try:
            if kill:
                row["there at the kill"] = kill_in_the_middle(process, folder, source.stat().st_size)
                process = fetch(them, folder)
            row |= finished(process)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
        row["seconds"] = time.perf_counter() - began
        row["sharer MiB"] = them.peak_mib()
    target = folder / source.name
    if not filecmp.cmp(source, target, shallow=False):
        raise RuntimeError("what came is not what was shared")
    target.unlink()
    folder.rmdir()
    return row


def measure(mib: int, chunk: int, work: Path) -> Row:
    """One round: MiB a second of each way, its ratio to the plain copy, and memory."""
    source = work / "film.bin"
    if not source.exists():
        make_file(source, mib)
    plain = mib / plain_copy(source, work / "copy")
    (work / "copy").unlink()
    row: Row = {"plain TCP MiB/s": plain}
    for name, count, kill in (("one", 1, False), ("three", SHARERS, False), ("killed", SHARERS, True)):
        figures = through_the_swarm(source, work, count, chunk, kill=kill)
        row[f"{name} MiB/s"] = mib / figures["seconds"]
        row[f"{name} / plain"] = row[f"{name} MiB/s"] / plain
        row |= {f"{name} {what}": value for what, value in figures.items() if what != "seconds"}
    return row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--chunk", type=int, default=512, metavar="KIB")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        rows = [measure(options.mib, options.chunk, Path(work)) for _ in range(options.repeat)]
    if options.json:
        print(json.dumps({"mib": options.mib, "chunk_kib": options.chunk, "runs": rows}))
        return
    print(
        f"{options.mib} MiB in chunks of {options.chunk} KiB, load {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores"
    )
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"{name:24} min {min(values):>9,.2f}  median {statistics.median(values):>9,.2f}")


if __name__ == "__main__":
    main()

"""Files of 24 MiB between real peers: from one, from three of which one lies and one dies, and past a kill -9."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cicada.aio import SwarmPeer
from samples.fileshare import FAILED, INTERRUPTED, OK, USAGE, main
from samples.filesharing.chunks import ChunkList
from samples.filesharing.download import Download, NobodyHasIt
from samples.filesharing.fetching import Dropped, Output
from samples.filesharing.holders import Fault
from samples.filesharing.names import Link
from samples.filesharing.partial import Partial
from samples.filesharing.serving import QUESTIONS_EACH
from samples.filesharing.shelf import Shared
from samples.filesharing.wire import AskChunk, AskList, ChunkReply, Refused, Wanted, decode, encode
from tests.peer.swarm import eventually, swarm
from tests.samples.sharers import FILM, Dying, Liar, Sharer, Stopped, Stopping, film, sharers

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    return film(tmp_path_factory.mktemp("film"))


async def fetched(peer: SwarmPeer, file: Shared, folder: Path) -> tuple[Path, dict[str, Fault]]:
    """Where it is, and who was dropped."""
    told: list[Output] = []
    link = Link(file.chunks.digest)
    path = await Download(peer, link, folder, tell=told.append).run()
    return path, {output.holder: output.fault for output in told if isinstance(output, Dropped)}


def is_whole(path: Path, file: Shared) -> bool:
    return path.read_bytes() == file.path.read_bytes()


async def test_a_file_is_found_and_fetched_between_two_peers(file: Shared, tmp_path: Path) -> None:
    async with sharers(file, [Sharer]) as (peer, (sharer,)):
        path, dropped = await fetched(peer, file, tmp_path)
        assert path == tmp_path / "film.bin"
        assert is_whole(path, file)
        assert dropped == {}
        assert sorted(sharer.asked) == list(range(file.chunks.count))
        assert os.listdir(tmp_path) == [path.name]


async def test_of_three_at_once_one_lies_and_one_dies_and_both_are_named(
    file: Shared, tmp_path: Path
) -> None:
    async with sharers(file, [Sharer, Liar, Dying]) as (peer, (honest, liar, dying)):
        path, dropped = await fetched(peer, file, tmp_path)
        assert is_whole(path, file)
        assert dropped.pop(liar.name) is Fault.LIES
        assert dropped.pop(dying.name) in {Fault.SLOW, Fault.SILENT}
        assert dropped == {}
        assert min(len(one.asked) for one in (honest, liar, dying)) >= 5


async def test_a_fetch_that_is_killed_is_gone_on_with_and_nothing_is_fetched_twice(
    file: Shared, tmp_path: Path
) -> None:
    async with sharers(file, [Stopping]) as (_, (sharer,)):
        assert isinstance(sharer, Stopping)
        command = program("fetch", file.chunks.digest.hex(), "--join", sharer.name, "--to", str(tmp_path))
        first = await asyncio.create_subprocess_exec(*command, env=environment(tmp_path))
        async with asyncio.timeout(PATIENCE_S):
            await sharer.stopped.wait()
        journal = tmp_path / f"{file.chunks.digest.hex()}.journal"

        async def much_is_stored() -> bool:
            return journal.exists() and len(entries(journal)) >= 15

        await eventually(much_is_stored, "what was given to be stored")
        first.send_signal(signal.SIGKILL)
        assert await first.wait() == -signal.SIGKILL
        stored = entries(journal)
        sharer.let.set()
        second = await asyncio.create_subprocess_exec(
            *command, env=environment(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        said, _ = await asyncio.wait_for(second.communicate(), PATIENCE_S)
        assert (second.returncode, said.decode().strip()) == (OK, str(tmp_path / "film.bin"))
        assert is_whole(tmp_path / "film.bin", file)
        twice = [index for index in stored if sharer.asked.count(index) > 1]
        assert twice == []
        assert set(sharer.asked) == set(range(file.chunks.count))


def entries(journal: Path) -> list[int]:
    """The chunks that a journal says are stored."""
    raw = journal.read_bytes()
    head = 4 + int.from_bytes(raw[:4], "big")
    return [index for (index,) in struct.iter_unpack(">I", raw[head:])] if len(raw) > 4 else []


async def test_what_nobody_has_is_given_up_after_as_long_as_one_is_patient(tmp_path: Path) -> None:
    async with swarm(2) as (peer, _):
        with pytest.raises(NobodyHasIt, match="have somebody share it"):
            await Download(peer, Link(bytes(32)), tmp_path, patience=0.5).run()
    assert os.listdir(tmp_path) == []


async def test_a_fetch_that_is_cancelled_leaves_what_it_has_for_the_next(
    file: Shared, tmp_path: Path
) -> None:
    async with sharers(file, [Stopping]) as (peer, (sharer,)):
        assert isinstance(sharer, Stopping)
        task = asyncio.create_task(fetched(peer, file, tmp_path))
        await asyncio.wait_for(sharer.stopped.wait(), PATIENCE_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        sharer.let.set()
        path, _ = await fetched(peer, file, tmp_path)
        assert is_whole(path, file)


async def test_what_is_no_question_is_counted_and_the_next_one_is_answered(file: Shared) -> None:
    async with sharers(file, [Sharer]) as (peer, (sharer,)):
        for data in (b"junk", encode(AskList(file.chunks.digest)), encode(Wanted(bytes(32)))):
            assert (await peer.send(sharer.name, data)).delivered
        reply = await peer.request(sharer.name, encode(AskChunk(file.chunks.digest, 2**40)))
        assert decode(reply.data) == Refused("no such chunk")
        assert sharer.ignored == {"malformed": 1, "no question": 1}


async def test_one_asker_holds_a_bounded_number_of_turns_and_the_others_get_theirs(file: Shared) -> None:
    async with sharers(file, [Stopped]) as (peer, (sharer,)):
        assert isinstance(sharer, Stopped)
        question = encode(AskChunk(file.chunks.digest, 0))
        asking = [asyncio.create_task(peer.request(sharer.name, question, 20.0)) for _ in range(20)]

        async def four_are_refused() -> bool:
            return sharer.ignored["busy"] == 4

        await eventually(four_are_refused, "questions beyond the bound")
        assert len(sharer._tasks) == QUESTIONS_EACH == 16
        sharer.let.set()

        async def the_others_are_answered() -> bool:
            return sum(task.done() for task in asking) == QUESTIONS_EACH

        await eventually(the_others_are_answered, "the answers")
        for task in asking:
            assert not task.done() or isinstance(decode((await task).data), ChunkReply)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def test_a_disk_that_is_full_ends_the_fetch_and_leaves_what_it_has(
    file: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Partial.store

    def full(partial: Partial, chunks: ChunkList, index: int, data: bytes) -> None:
        if index == 10:
            raise OSError(errno.ENOSPC, "no space")
        store(partial, chunks, index, data)

    async with sharers(file, [Sharer]) as (peer, (sharer,)):
        monkeypatch.setattr(Partial, "store", full)
        with pytest.raises(OSError, match="no space"):
            await fetched(peer, file, tmp_path)
        monkeypatch.setattr(Partial, "store", store)
        stored = len(entries(tmp_path / f"{file.chunks.digest.hex()}.journal"))
        sharer.asked.clear()
        path, _ = await fetched(peer, file, tmp_path)
        assert is_whole(path, file)
        assert stored >= 1
        assert len(set(sharer.asked)) == file.chunks.count - stored


async def test_a_file_that_changes_while_it_is_shared_is_refused(tmp_path: Path) -> None:
    file = film(tmp_path)
    async with sharers(file, [Sharer]) as (peer, (sharer,)):
        os.utime(file.path, (1, 1))
        link, told = Link(file.chunks.digest), list[Output]()
        with pytest.raises(NobodyHasIt, match="the same command goes on"):
            await Download(peer, link, tmp_path, patience=0.5, tell=told.append).run()
        assert Dropped(sharer.name, Fault.REFUSES, 0) in told


# The program


def program(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "samples" / "fileshare.py"), *arguments]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}


@contextmanager
def sharing(file: Path, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A process that shares the file, and its link."""
    with subprocess.Popen(
        program("share", str(file)),
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def test_a_link_is_all_that_another_user_needs(
    file: Shared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sharing(file.path, tmp_path) as (link, process):
        address = link.rpartition("=")[2]
        assert main(["find", "FILM", "--join", address, "--seconds", "1"]) == OK
        assert capsys.readouterr().out.split() == [file.chunks.digest.hex(), "24.0", "MiB", "1", "film.bin"]
        assert main(["fetch", link, "--to", str(tmp_path / "here"), "--name", "mine"]) == OK
        assert is_whole(tmp_path / "here" / "mine", file)
        nothing = ["fetch", "00" * 32, "--join", address, "--to", str(tmp_path), "--patience", "0.5"]
        assert main(nothing) == FAILED
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == INTERRUPTED
        assert f"gave {FILM // 2**20}.0 MiB to " in said
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fetch", "nonsense"], "cicada-file: link"),
        (["fetch", "00" * 32], "whom to ask?"),
        (["fetch", "00" * 32, "--join", "here"], "not an address"),
        (["share", "/nowhere/at/all"], "neither a file nor a folder"),
        (["find", "--bind", "nowhere"], "not an address"),
    ],
)
def test_a_wrong_command_line_is_told_what_to_write(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == USAGE
    assert said in " ".join(capsys.readouterr().err.split())

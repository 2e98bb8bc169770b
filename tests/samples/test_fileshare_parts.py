"""Lists, links, names and messages of file sharing, the journal of a partial file, and the files that are shared."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicada.errors import MalformedMessage, Misuse, Unavailable
from samples.filesharing.chunks import LEAST_CHUNK, MOST_CHUNK, Bitmap, ChunkList, checked
from samples.filesharing.names import Link, link_of, safe_name, size_text
from samples.filesharing.partial import Partial
from samples.filesharing.shelf import files_in, shared
from samples.filesharing.wire import AskChunk, Offer, Offers, Wanted, decode, encode
from tests.samples.fileworld import contents, listed

DIGEST = bytes(range(32))
texts = st.text(max_size=300)


# Chunks


def test_the_digest_of_a_list_is_what_the_page_says() -> None:
    pieces = contents(2, last=5)
    hashes = b"".join(hashlib.sha256(piece).digest() for piece in pieces)
    head = b"cicada-1" + struct.pack(">QI", LEAST_CHUNK + 5, LEAST_CHUNK)
    assert listed(pieces).digest == hashlib.sha256(head + hashes).digest()


@given(st.integers(0, 4), st.integers(1, LEAST_CHUNK), st.integers(0, 5), st.binary(max_size=40))
def test_a_list_proves_exactly_its_chunks(count: int, last: int, index: int, other: bytes) -> None:
    pieces = contents(count, last)
    chunks = listed(pieces)
    assert checked(chunks, chunks.digest) is chunks
    assert [chunks.length(n) for n in range(count)] == [len(piece) for piece in pieces]
    assert [chunks.proves(n, piece) for n, piece in enumerate(pieces)] == [True] * count
    assert not chunks.proves(index, other) or other == pieces[index]


@pytest.mark.parametrize(
    "wrong",
    [
        ChunkList(LEAST_CHUNK, LEAST_CHUNK, bytes(31)),
        ChunkList(LEAST_CHUNK + 1, LEAST_CHUNK, bytes(32)),
        ChunkList(-1, LEAST_CHUNK, b""),
        ChunkList(1, 0, bytes(32)),
        ChunkList(1, MOST_CHUNK + 1, bytes(32)),
        ChunkList(2**60, LEAST_CHUNK, b""),
    ],
)
def test_a_list_that_cannot_be_one_is_refused_whatever_its_digest(wrong: ChunkList) -> None:
    with pytest.raises(MalformedMessage, match="chunk-list"):
        checked(wrong, DIGEST)


def test_a_list_with_another_digest_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="another digest"):
        checked(listed(contents(2)), DIGEST)


@given(st.integers(0, 100), st.data())
def test_a_bitmap_is_a_set(count: int, data: st.DataObject) -> None:
    members = data.draw(st.lists(st.integers(0, count - 1))) if count else []
    bitmap = Bitmap(count, members)
    assert set(bitmap) == set(members)
    assert bitmap.held == len(set(members))
    assert bitmap.complete == (len(set(members)) == count)
    with pytest.raises(IndexError):
        bitmap.add(count)


# Names, links, messages


@given(texts)
def test_a_name_that_a_peer_chose_stays_in_the_folder_and_can_be_shown(name: str) -> None:
    safe = safe_name(name)
    assert safe.isprintable()
    assert 1 <= len(safe.encode()) <= 255 - len(" (12345)")
    assert Path("/folder", safe).resolve().parent == Path("/folder")
    assert not safe.startswith(".")
    assert safe_name(safe) == safe


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("film.mkv", "film.mkv"),
        ("../../etc/passwd", "passwd"),
        ("..\\x", "x"),
        (".bashrc", "bashrc"),
        ("a\x1b[2Jb", "a[2Jb"),
        ("..", "unnamed"),
        ("", "unnamed"),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.binary(min_size=32, max_size=32), st.text(st.characters(codec="utf-8")), st.booleans())
def test_a_link_is_read_as_it_was_written(digest: bytes, name: str, with_peers: bool) -> None:
    peers = ("10.0.0.1:5000", "[::1]:5000", "@" + "0a" * 32) if with_peers else ()
    assert link_of(str(Link(digest, name, peers))) == Link(digest, name, peers)
    assert link_of(digest.hex()) == Link(digest)


@pytest.mark.parametrize(
    "text", ["", "ab", "cicada-file:ab", "http:" + "ab" * 32, "zz" * 32, "ab" * 33, "//[x"]
)
def test_what_is_no_link_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(Misuse, match="cicada-file: link"):
        link_of(text)


@given(st.binary(max_size=200))
def test_decoding_is_total(raw: bytes) -> None:
    try:
        message = decode(raw)
    except MalformedMessage:
        return
    assert decode(encode(message)) == message


def test_messages_are_decoded_as_they_were_encoded_and_bounds_hold() -> None:
    for message in (Wanted(None), Wanted(DIGEST), AskChunk(DIGEST, 7), Offers((Offer(DIGEST, 5, "x"),))):
        assert decode(encode(message)) == message
    for wrong in (Wanted(b"short"), AskChunk(DIGEST, -1), Offers((Offer(DIGEST, 5, "x"),) * 257)):
        with pytest.raises(MalformedMessage):
            decode(encode(wrong))


def test_sizes_are_shown_in_words() -> None:
    assert [size_text(n) for n in (0, 1023, 1536, 2**30, 2**60)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "1.0 GiB",
        "1048576.0 TiB",
    ]


# The partial file


def store(partial: Partial, pieces: list[bytes], *indexes: int) -> None:
    for index in indexes:
        partial.store(listed(pieces), index, pieces[index])


def resumed(folder: Path, pieces: list[bytes]) -> tuple[Partial, set[int], str]:
    found = Partial.resume(folder, listed(pieces).digest)
    assert found is not None
    partial, head, have = found
    assert head.chunks == listed(pieces)
    return partial, set(have), head.name


@given(st.integers(1, 9), st.data())
def test_whatever_is_left_of_the_journal_only_right_chunks_count(
    tmp_path_factory: pytest.TempPathFactory, count: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("partial")
    pieces = contents(count)
    partial = Partial.begin(folder, listed(pieces), "name")
    head = os.path.getsize(folder / f"{listed(pieces).digest.hex()}.journal")
    written = data.draw(st.permutations(range(count)))
    store(partial, pieces, *written)
    partial.close()
    journal = folder / f"{listed(pieces).digest.hex()}.journal"
    left = data.draw(st.integers(0, 4 * count))
    garbage = data.draw(st.binary(max_size=9))
    journal.write_bytes(journal.read_bytes()[: head + left] + garbage)
    spoilt = data.draw(st.sets(st.integers(0, count - 1)))
    with partial.path.open("r+b") as file:
        for index in spoilt:
            file.seek(index * LEAST_CHUNK)
            file.write(bytes([pieces[index][0] ^ 1]))
    again, have, name = resumed(folder, pieces)
    assert set(written[: left // 4]) - spoilt <= have <= set(range(count)) - spoilt
    assert name == "name"
    store(again, pieces, *(set(range(count)) - have))
    again.close()
    again, have, _ = resumed(folder, pieces)
    assert have == set(range(count))
    assert again.finish(folder, "name").read_bytes() == b"".join(pieces)
    assert [path.name for path in folder.iterdir()] == ["name"]


@pytest.mark.parametrize("left", [0, 3, 20])
def test_a_journal_without_its_list_is_worth_nothing_and_in_nobodys_way(tmp_path: Path, left: int) -> None:
    pieces = contents(3)
    Partial.begin(tmp_path, listed(pieces), "name").close()
    journal = tmp_path / f"{listed(pieces).digest.hex()}.journal"
    journal.write_bytes(journal.read_bytes()[:left])
    assert Partial.resume(tmp_path, listed(pieces).digest) is None
    partial = Partial.begin(tmp_path, listed(pieces), "name")
    store(partial, pieces, 0, 1, 2)
    assert partial.finish(tmp_path, "name").read_bytes() == b"".join(pieces)


def test_two_do_not_write_the_same_file_at_once(tmp_path: Path) -> None:
    pieces = contents(2)
    partial = Partial.begin(tmp_path, listed(pieces), "name")
    with pytest.raises(Unavailable, match="another process"):
        Partial.resume(tmp_path, listed(pieces).digest)
    partial.close()
    resumed(tmp_path, pieces)[0].close()


def test_a_resumption_that_is_stopped_lets_another_have_the_file(tmp_path: Path) -> None:
    pieces = contents(2)
    partial = Partial.begin(tmp_path, listed(pieces), "name")
    store(partial, pieces, 0)
    partial.close()

    def stop(size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Partial.resume(tmp_path, listed(pieces).digest, stop)
    again, have, _ = resumed(tmp_path, pieces)
    assert have == {0}
    again.close()


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    for expected in ("a (2).txt", "a (3).txt"):
        partial = Partial.begin(tmp_path, listed([]), "a.txt")
        assert partial.finish(tmp_path, "a.txt").name == expected
    assert (tmp_path / "a.txt").read_text() == "mine"


# Shared files


def test_a_file_is_hashed_once_and_again_when_it_changed(tmp_path: Path) -> None:
    file, cache = tmp_path / "file", tmp_path / "cache"
    file.write_bytes(b"one")
    read: list[int] = []
    first = shared(file, cache=cache, progress=read.append)
    assert shared(file, cache=cache, progress=read.append) == first
    assert read == [3]
    file.write_bytes(b"three")
    assert shared(file, cache=cache, progress=read.append).chunks.size == 5
    assert read == [3, 5]
    assert shared(file, cache=cache, chunk=LEAST_CHUNK, progress=read.append).chunks.chunk == LEAST_CHUNK
    assert read == [3, 5, 5]


def test_a_cache_that_cannot_be_read_or_written_costs_only_time(tmp_path: Path) -> None:
    file, cache = tmp_path / "file", tmp_path / "cache"
    file.write_bytes(b"one")
    whole = shared(file, cache=cache)
    for kept in cache.iterdir():
        kept.write_bytes(b"junk")
    assert shared(file, cache=cache) == whole
    assert shared(file, cache=file) == whole


def test_what_changed_since_it_was_hashed_is_not_given_away(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    entry = shared(file, cache=tmp_path / "cache")
    assert entry.read(0) == b"one"
    file.write_bytes(b"other")
    assert entry.read(0) is None
    file.unlink()
    assert entry.read(0) is None


def test_a_folder_is_all_files_in_it_that_are_not_hidden(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("a", "sub/b", ".hidden", ".git/c"):
        (tmp_path / name).touch()
    assert list(files_in([tmp_path])) == [tmp_path / "a", tmp_path / "sub" / "b"]
    with pytest.raises(Misuse, match="neither a file nor a folder"):
        list(files_in([tmp_path / "none"]))

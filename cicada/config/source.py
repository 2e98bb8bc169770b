"""From a file to a plain document, past as many syntax errors as can be told apart."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any

import msgspec

from cicada.config.positions import Path, Position
from cicada.errors import ConfigError, ConfigErrors
from cicada.limits import CONFIG

Document = dict[str, Any]

_UNREADABLE = "__unreadable__"
_LARGEST = 2**63 - 1  # TOML has integers of 64 bits; its reader for Python has no such bound
_ENDLESS = re.compile(r"[0-9_]{4300,}")  # digits that Python makes no number of

_AT = re.compile(
    r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What could be read: ``text`` without its unreadable lines, or nothing when its end was not found."""

    text: str
    document: Document
    errors: tuple[tuple[Position, str], ...] = ()
    readable: bool = True


def read_text(path: FilePath) -> str:
    """The text of a configuration file, or of one that it names. Raises ConfigErrors when it cannot be one."""
    try:
        if path.stat().st_size > CONFIG.max_file:
            raise _only(path, f"larger than {CONFIG.max_file} bytes: this is not a configuration")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise _only(path, f"no such file{_similar_file(path)}") from None
    except IsADirectoryError:
        raise _only(path, "a folder: name the .toml file in it") from None
    except UnicodeDecodeError as error:
        raise _only(path, f"not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise _only(path, f"cannot be read: {error.strerror}") from None


def _only(path: FilePath, problem: str) -> ConfigErrors:
    return ConfigErrors((ConfigError(problem, file=str(path)),))


def _similar_file(path: FilePath) -> str:
    folder = path.parent
    others = sorted(other.stem for other in folder.glob("*.toml")) if folder.is_dir() else []
    near = get_close_matches(path.stem, others, n=1)
    return f": did you mean {folder / near[0]}.toml?" if near else ""


def parse(text: str) -> Source:
    """Read TOML; a line that is not is reported and taken out, and the rest read again."""
    lines = text.replace("\r\n", "\n").split("\n")
    errors: list[tuple[Position, str]] = []
    while len(errors) < CONFIG.max_syntax_errors:
        try:
            document = tomllib.loads("\n".join(lines))
        except tomllib.TOMLDecodeError as error:
            problem, position = _locate(str(error))
            if position is None:  # something was opened and never closed: where, nobody can tell
                errors.append((_end(lines), problem))
                break
            errors.append((position, problem))
            lines[position.line - 1] = _placeholder(position.line, lines[position.line - 1])
        except ValueError:
            position = _endless(lines)
            errors.append((position, "not valid TOML: a number of so many digits"))
            lines[position.line - 1] = ""
        except RecursionError:
            errors.append((Position(1, 1), "not valid TOML: brackets within brackets, too deep"))
            break
        else:
            document.pop(_UNREADABLE, None)
            return Source(text="\n".join(lines), document=document, errors=tuple(errors))
    return Source(text="", document={}, errors=tuple(errors), readable=False)


def cut_integers(value: object, path: Path = ()) -> Iterator[Path]:
    """Where a document has integers beyond 64 bits; each is cut to the largest there is, so that rules can count with it."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, entry in tuple(entries):
        if isinstance(entry, int) and abs(entry) > _LARGEST:
            value[key] = _LARGEST if entry > 0 else -_LARGEST  # type: ignore[index]  # it has entries
            yield (*path, key)
        else:
            yield from cut_integers(entry, (*path, key))


def _endless(lines: list[str]) -> Position:
    """The first number that is too long to be read."""
    found = ((number, _ENDLESS.search(line)) for number, line in enumerate(lines, 1))
    return next((Position(number, match.start() + 1) for number, match in found if match), Position(1, 1))


def _placeholder(number: int, line: str) -> str:
    """What stands for an unreadable line. A header keeps the rows below it away from the table above it."""
    return f"[{_UNREADABLE}.line-{number}]" if line.lstrip().startswith("[") else ""


def _locate(message: str) -> tuple[str, Position | None]:
    """Problem and position of a tomllib error, which names its position in its text only."""
    match = _AT.fullmatch(message)
    if match is None:
        return f"not valid TOML: {message}", None
    problem = f"not valid TOML: {match['what'][:1].lower()}{match['what'][1:]}"
    return problem, Position(int(match["line"]), int(match["column"])) if match["line"] else None


def _end(lines: list[str]) -> Position:
    last = next((index for index in range(len(lines), 0, -1) if lines[index - 1].strip()), 1)
    return Position(last, len(lines[last - 1]) + 1)

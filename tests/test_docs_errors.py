"""docs/errors.md has every error that may be raised, and every reason a receipt may give."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Final

import cicada
from cicada import errors
from cicada.chord.io import LookupFailure
from cicada.errors import CicadaError
from cicada.routing.io import Reason
from launcher.exits import Exit, exit_code

PAGE: Final = (Path(__file__).parent.parent / "docs" / "errors.md").read_text()
CLASSES: Final = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, CicadaError) and kind.__module__ == errors.__name__
}


def rows(title: str) -> dict[str, list[str]]:
    """A table: its first cell, without backticks, and the others."""
    table = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in re.findall(r"^\| `.*$", table, re.M)
    ]
    return {first.strip("`"): rest for first, *rest in lines}


def test_every_error_is_in_the_table_and_nothing_else() -> None:
    assert set(rows("Exceptions")) == set(CLASSES)


def test_what_an_error_is_also_is_what_it_derives_from() -> None:
    for name, (also, meaning, _, advice) in rows("Exceptions").items():
        assert meaning, name
        assert advice, name
        bases = {base.__name__ for base in CLASSES[name].__bases__} - {"CicadaError", "Exception"}
        assert set(re.findall(r"`(\w+)`", also)) == bases, name


def test_every_reason_of_a_receipt_is_in_the_table_and_nothing_else() -> None:
    words = {reason.value for reason in Reason}
    assert set(rows("Why a receipt failed")) == words


def test_every_reason_says_whether_it_arrived_and_whether_to_try_again() -> None:
    for reason, (meaning, arrived, retry, advice) in rows("Why a receipt failed").items():
        assert meaning, reason
        assert arrived.split(",")[0] in ("no", "perhaps"), reason
        assert retry, reason
        assert advice, reason
        assert (arrived == "perhaps") >= reason.startswith("unknown:"), reason


def test_every_failure_of_a_lookup_is_named() -> None:
    sentence = PAGE.partition("A lookup's failures are ")[2].partition(":")[0]
    assert set(re.findall(r"`([\w-]+)`", sentence)) == {failure.value for failure in LookupFailure}


def test_the_exit_codes_are_those_of_the_command() -> None:
    assert (exit_code(errors.Misuse()), exit_code(errors.ConfigError("x"))) == (2, 2)
    assert exit_code(errors.RingNotReady()) == Exit.FAILURE
    assert "`ConfigError` and `Misuse` into 2" in PAGE


def test_errors_that_the_page_says_can_be_imported_from_cicada_can() -> None:
    assert set(CLASSES) - {"ConfigErrors"} <= set(cicada.__all__)

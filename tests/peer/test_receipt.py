"""What a receipt tells of the copies of a message."""

from __future__ import annotations

from cicada.actors.receipt import Receipt
from cicada.ids import canonical_address
from cicada.routing.io import Copy, Fate, Settled, Status, Traced

ONE, OTHER = (canonical_address("127.0.0.1", port) for port in (20001, 20002))


def settled(*copies: Copy) -> Settled:
    return Settled(
        id=1, status=Status.DELIVERED, reason=None, attempts=1, hops=2, round_trip_s=0.1, copies=copies
    )


def test_nothing_is_said_of_copies_before_the_receipt_settles() -> None:
    receipt = Receipt()
    assert (receipt.copies, receipt.disjoint, receipt.altered) == ((), True, 0)


def test_what_becomes_known_later_takes_the_place_of_what_was_pending() -> None:
    receipt = Receipt()
    receipt.settle(settled(Copy(1, 0, ONE, Fate.INTACT), Copy(1, 1, OTHER, Fate.PENDING)))
    assert [copy.fate for copy in receipt.copies] == ["intact", "pending"]
    copies = (Copy(1, 0, ONE, Fate.INTACT), Copy(1, 1, OTHER, Fate.ALTERED))
    receipt.trace(Traced(id=1, copies=copies, disjoint=False, altered=1))
    assert [(copy.via, copy.fate) for copy in receipt.copies] == [(ONE, "intact"), (OTHER, "altered")]
    assert (receipt.disjoint, receipt.altered) == (False, 1)
    receipt.give_up()
    assert receipt.altered == 1, "all was known already"


def test_a_copy_that_nobody_follows_any_more_is_lost() -> None:
    receipt = Receipt()
    receipt.give_up()
    assert not receipt.copies
    receipt.settle(settled(Copy(1, 0, ONE, Fate.INTACT), Copy(1, 1, OTHER, Fate.PENDING)))
    receipt.give_up()
    assert [copy.fate for copy in receipt.copies] == ["intact", "lost"]

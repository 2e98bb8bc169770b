"""Wrong uses of the public API. In each, the lines that end in ``# wrong`` are those that a type checker has to refuse."""

from __future__ import annotations

from typing import Final

HEAD: Final = "import cicada\n\n"

WRONG: Final = {
    "a_number_is_sent": "def f(a: cicada.SwarmPeer, b: cicada.SwarmPeer) -> None:\n    a.send(b, 5)  # wrong\n",
    "a_port_is_text": 'def f(a: cicada.SwarmPeer) -> None:\n    a.bind("127.0.0.1", "5000")  # wrong\n',
    "there_is_no_such_verb": "def f(a: cicada.SwarmPeer) -> None:\n    a.receive()  # wrong\n",
    "a_verb_of_the_sync_peer_is_awaited": (
        "async def f(a: cicada.SwarmPeer) -> None:\n    await a.recv()  # wrong\n"
    ),
    "a_coroutine_is_not_awaited": (
        "async def f(a: cicada.aio.SwarmPeer) -> bytes:\n    return a.recv().data  # wrong\n"
    ),
    "an_async_peer_in_a_plain_with": (
        "def f() -> None:\n    with cicada.aio.SwarmPeer():  # wrong\n        pass\n"
    ),
    "messages_have_no_text": "def f(a: cicada.SwarmPeer) -> str:\n    return a.recv().data  # wrong\n",
    "a_receipt_cannot_be_changed": (
        'def f(receipt: cicada.Receipt) -> None:\n    receipt.status = "delivered"  # wrong\n'
    ),
    "a_lookup_may_have_failed": (
        "async def f(a: cicada.aio.SwarmPeer) -> cicada.aio.HostPort:\n"
        '    found = await a.lookup("text")\n'
        "    return found.owner  # wrong\n"
    ),
    "a_reason_may_be_none": "def f(receipt: cicada.Receipt) -> str:\n    return receipt.reason  # wrong\n",
    "a_policy_has_names": "def f() -> cicada.MailboxPolicy:\n    return cicada.MailboxPolicy(100)  # wrong\n",
    "an_option_is_misspelt": (
        "def f(a: cicada.SwarmPeer, b: cicada.SwarmPeer) -> None:\n    a.send(b, b'', order=True)  # wrong\n"
    ),
}
"""A wrong use's name, and the program, which goes after HEAD."""

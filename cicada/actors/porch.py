"""The porch: it lets itself be dialled by an address that the peer does not have yet, to see whether others can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from cicada.actors.pump import Surroundings
from cicada.actors.transport import Attachment, TransportActor
from cicada.transport import linkio
from cicada.wire.security import Identified, LinkSecurity, Met, Unidentified

_NOT_HERE: Final = (
    linkio.RoutedReceived,
    linkio.RingReceived,
    linkio.LodgingReceived,
    linkio.KeptLost,
    linkio.Proven,
    linkio.Unreachable,
    Met,
    Identified,
    Unidentified,
    linkio.Emit,
)


class Porch(TransportActor):
    """Finishes the handshakes of those who dial ``around.own``, and says from where they came: nothing else that they say is
    heard, and whoever uses such a link finds that the peer is not there yet."""

    def __init__(
        self,
        around: Surroundings,
        attachment: Attachment,
        incarnation: int,
        swarm: str,
        security: LinkSecurity,
        on_dialled: Callable[[str], None],
    ) -> None:
        super().__init__(around, attachment, incarnation, swarm, security)
        self._endpoint = attachment.endpoint
        self._on_dialled = on_dialled

    def carriers(self) -> dict[type, Callable[[Any], object]]:
        return {
            **super().carriers(),
            **dict.fromkeys(_NOT_HERE, lambda output: None),
            linkio.Authenticated: self._authenticated,
        }

    def _authenticated(self, output: linkio.Authenticated) -> None:
        self.authenticated(output)
        source = self._endpoint.source(output.connection)
        if source:
            self._on_dialled(source)

"""What routers hold for this process, or may hold, so that all of it is deleted some time."""

from __future__ import annotations

from collections.abc import Collection

from cicada.nat.requests import UPNP, Gateway, Target

_Key = tuple[str, str, str, str, int, int]


class Debts:
    """Mappings that are owed to be deleted, and those whose deletion is due."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._owed: dict[_Key, tuple[Target, bool]] = {}
        self._due: dict[_Key, None] = {}

    def owe(self, target: Target, *, sure: bool) -> None:
        """The router has, or (not ``sure``) may have, this mapping now. It is not to be deleted yet."""
        key = _key(target)
        self._due.pop(key, None)
        was_sure = self._owed.pop(key, (target, False))[1]
        self._owed[key] = (target, sure or was_sure)
        while len(self._owed) > self._most:
            self.settle(next(iter(self._owed.values()))[0])

    def settle(self, target: Target) -> None:
        """The router has it no more."""
        self._owed.pop(_key(target), None)
        self._due.pop(_key(target), None)

    def delete(self, target: Target) -> None:
        """Have it deleted soon."""
        if _key(target) in self._owed:
            self._due[_key(target)] = None

    def delete_superseded(self, target: Target) -> None:
        """Another external port was granted instead. Where mappings go by the internal port there is only one."""
        if target.protocol == UPNP:
            self.delete(target)

    def move(self, before: Gateway | None, gateway: Gateway, wanted: Collection[int]) -> None:
        """This machine has another router or address: have deleted what the one before holds, and what the new one still has
        from an earlier visit for ports that are not wanted any more.
        """
        for key, (target, _) in self._owed.items():
            is_of_before = before is not None and target.gateway.address == before.address
            is_of_visit = _is_at(target, gateway) and target.port not in wanted
            if (is_of_before and not _is_at(target, gateway)) or is_of_visit:
                self._due[key] = None

    def delete_all(self, gateway: Gateway | None) -> None:
        """Have everything deleted: what is sure first, of the present router first."""
        present = "" if gateway is None else gateway.address
        owed = sorted(self._owed.items(), key=lambda each: (each[0][0] != present, not each[1][1]))
        self._due = dict.fromkeys(key for key, _ in owed)

    def postpone(self, target: Target) -> None:
        """It could not be deleted now, and neither could others of that router in that protocol: leave them for the end."""
        for key in [key for key in self._due if key[:2] == _key(target)[:2]]:
            del self._due[key]

    def next(self, gateway: Gateway | None) -> Target | None:
        """What is to be deleted next, from where this machine is now."""
        for key in list(self._due):
            target = self._owed[key][0]
            if _can_delete(target, gateway):
                return target
            del self._due[key]  # it is owed still, in case that this machine comes back
        return None

    def of_port(self, port: int, transport: str, gateway: Gateway | None) -> Target | None:
        """What the present router holds for a port already: mapping it again has to have the same nonce."""
        if gateway is None:
            return None
        wanted = (gateway.address, gateway.local, transport, port)
        for (address, _, local, *rest), (target, _) in self._owed.items():
            if (address, local, *rest[:2]) == wanted:
                return target
        return None


def _is_at(target: Target, gateway: Gateway) -> bool:
    return (target.gateway.address, target.gateway.local) == (gateway.address, gateway.local)


def _can_delete(target: Target, gateway: Gateway | None) -> bool:
    """With PCP and NAT-PMP only the address that made a mapping can delete it; whoever tries from another deletes its own."""
    if gateway is None or target.gateway.address != gateway.address:
        return True
    return target.protocol == UPNP or _is_at(target, gateway)


def _key(target: Target) -> _Key:
    external = target.external_port if target.protocol == UPNP else 0
    gateway = target.gateway
    return (gateway.address, target.protocol, gateway.local, target.transport, target.port, external)

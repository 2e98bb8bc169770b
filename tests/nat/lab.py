"""A real internet in network namespaces: LANs behind routers that masquerade, one of them with a real miniupnpd.

    lan   192.168.77.10 --+-- router      44.128.77.1 --+-- outside   44.128.10.2
    other 192.168.77.20 --+   miniupnpd                 |
                                                        +-- elsewhere 44.128.20.2
    far   192.168.77.10 ----- far_router  44.128.88.1 --+

Both LANs have the same addresses, as most LANs have. The internet's look public, because miniupnpd refuses to map at an
address that is private or reserved for examples; nothing leaves the machine, since no namespace has a link to its network.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil

from tests.nat.namespaces import Namespace, command, new_lab_name, remove_all, remove_leftovers

PCP, NAT_PMP, UPNP = "pcp", "nat-pmp", "upnp"
ALL: Final = frozenset({PCP, NAT_PMP, UPNP})
TOOLS: Final = ("ip", "bridge", "nft", "miniupnpd", "setpriv")
MAPPING_PORT, UPNP_PORT = 5351, 5000
DAEMON_SECONDS: Final = 10.0
"""A daemon listens after some hundredths of a second."""
_FORWARDING, _DISABLED = 3, 0  # states of a bridge's port; disabled, its cable still looks plugged in

RULES: Final = """
table inet filter {
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
  chain protocols { }
  chain input {
    type filter hook input priority 0; policy accept;
    iifname "br-lan" jump protocols
    iifname "wan0" meta l4proto icmp accept
    iifname "wan0" ct state new drop
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "br-lan" accept
    jump miniupnpd
  }
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
    jump prerouting_miniupnpd
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    jump postrouting_miniupnpd
    oifname "wan0" masquerade
  }
}
"""

DAEMON: Final = """
ext_ifname=wan0
listening_ip=br-lan
http_port={upnp_port}
enable_natpmp={has_mapping_port}
enable_upnp={has_upnp}
ipv6_disable=yes
secure_mode=yes
system_uptime=no
min_lifetime={min_lifetime}
max_lifetime=86400
notify_interval=30
lease_file={folder}/leases
uuid=42f6400d-d7d1-47fb-b8f7-980c3324a291
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
{extra}
allow 1024-65535 192.168.77.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""


def why_no_lab() -> str:
    """What is missing for a lab on this machine; empty when nothing is."""
    if os.geteuid():
        return "the lab of network namespaces needs root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return (
            f"the lab of network namespaces needs {', '.join(missing)}: .ci/lab-tools installs them on Debian"
        )
    if b"nftables" not in Path(shutil.which("miniupnpd") or "").read_bytes():
        return "the lab needs a miniupnpd that is built for nftables: Debian's miniupnpd-nftables"
    probe = f"{new_lab_name()}-probe"
    try:
        command("ip", "netns", "add", probe)
    except RuntimeError as error:
        return f"no network namespace can be made here: {error}"
    remove_all([probe])
    return ""


class Standing(NamedTuple):
    """One mapping as the router's kernel carries it out."""

    protocol: str
    external_port: int
    host: str
    port: int


class Host:
    """A machine with one interface, plugged into a port of a bridge."""

    def __init__(self, namespace: Namespace, address: str, switch: Namespace, port: str) -> None:
        self.namespace = namespace
        self.address = address
        self._switch = switch
        self._port = port
        self.run = namespace.run
        self.python = namespace.python
        self.inside = namespace.inside

    def block(self) -> None:
        """Frames to and from it are lost, silently."""
        self._set_port(_DISABLED)

    def unblock(self) -> None:
        self._set_port(_FORWARDING)

    def _set_port(self, state: int) -> None:
        command("bridge", "-netns", self._switch.name, "link", "set", "dev", self._port, "state", str(state))


class Router(Host):
    """A router that masquerades what its LAN sends out, and lets nothing in that was not asked for or mapped. Its ``address`` is
    the one on the internet. It speaks no mapping protocol until its daemon is started."""

    def __init__(
        self, namespace: Namespace, address: str, switch: Namespace, port: str, folder: Path
    ) -> None:
        super().__init__(namespace, address, switch, port)
        self.folder = folder
        folder.mkdir()
        (folder / "leases").touch()
        self._daemon: subprocess.Popen[bytes] | None = None
        self._options: tuple[frozenset[str], int, tuple[str, ...]] = (frozenset(), 1, ())
        namespace.output("sysctl", "-qw", "net.ipv4.ip_forward=1")
        namespace.output("nft", "-f", "-", stdin=RULES)

    def start_daemon(self, *protocols: str, min_lifetime: int = 1, extra: tuple[str, ...] = ()) -> None:
        """Start miniupnpd, which then speaks these protocols only, and wait until it listens; none named means all. ``extra`` are
        lines of its configuration."""
        spoken = frozenset(protocols) or ALL
        if spoken - ALL or self._daemon is not None:
            raise ValueError(f"it runs already, or not all of {sorted(spoken)} are among {sorted(ALL)}")
        self._options = (spoken, min_lifetime, extra)
        self._drop_all_but(spoken)
        ports = [("udp", MAPPING_PORT)] * bool(spoken & {PCP, NAT_PMP}) + [("tcp", UPNP_PORT)] * (
            UPNP in spoken
        )
        configuration = DAEMON.format(
            upnp_port=UPNP_PORT,
            has_mapping_port="yes" if spoken & {PCP, NAT_PMP} else "no",
            has_upnp="yes" if UPNP in spoken else "no",
            min_lifetime=min_lifetime,
            folder=self.folder,
            extra="\n".join(extra),
        )
        (self.folder / "miniupnpd.conf").write_text(configuration)
        argv = ["miniupnpd", "-d", "-f", str(self.folder / "miniupnpd.conf"), "-P", str(self.folder / "pid")]
        with (self.folder / "log").open("ab") as log:
            self._daemon = self.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._await_ports(ports)

    def _drop_all_but(self, spoken: frozenset[str]) -> None:
        """PCP and NAT-PMP share a port, and miniupnpd cannot be told to speak one only. So what is not wanted is dropped by its
        version, in the first byte (RFC 6887, section 7.1; RFC 6886, section 3.2). Without both the port is closed."""
        versions = {PCP: "2", NAT_PMP: "0"} if spoken & {PCP, NAT_PMP} else {}
        drops = [
            f"add rule inet filter protocols udp dport {MAPPING_PORT} @th,64,8 {version} drop"
            for protocol, version in versions.items()
            if protocol not in spoken
        ]
        self.namespace.output(
            "nft", "-f", "-", stdin="\n".join(["flush chain inet filter protocols", *drops])
        )

    def _await_ports(self, ports: Sequence[tuple[str, int]]) -> None:
        give_up = time.monotonic() + DAEMON_SECONDS
        while not all(_listens(self.daemon_pid, protocol, port) for protocol, port in ports):
            if not _is_running(self.daemon_pid) or time.monotonic() > give_up:
                raise RuntimeError(f"miniupnpd does not listen:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.005)

    @property
    def daemon_pid(self) -> int:
        if self._daemon is None:
            raise RuntimeError("no daemon runs")
        return self._daemon.pid

    def stop_daemon(self) -> None:
        """End miniupnpd, also one that is frozen. Mappings stay in the kernel, until a daemon that is started later ends them."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait(DAEMON_SECONDS)
            self._daemon = None

    def power_off(self) -> None:
        """End miniupnpd and lose every mapping."""
        self.stop_daemon()
        (self.folder / "leases").write_text("")
        chains = ("miniupnpd", "prerouting_miniupnpd", "postrouting_miniupnpd")
        self.namespace.output(
            "nft", "-f", "-", stdin="\n".join(f"flush chain inet filter {c}" for c in chains)
        )

    def power_on(self) -> None:
        """Start miniupnpd as it was started last."""
        spoken, min_lifetime, extra = self._options
        self.start_daemon(*spoken, min_lifetime=min_lifetime, extra=extra)

    def reboot(self) -> None:
        """Lose every mapping and start miniupnpd anew: its epoch begins at 0, and it announces itself."""
        self.power_off()
        self.power_on()

    def freeze(self) -> None:
        """miniupnpd no longer answers. The kernel still takes connections to it."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self.daemon_pid, number)

    def set_wan_address(self, address: str) -> None:
        """Another address on the internet, as a provider gives one overnight. Others reach it when it is in 44.128.0.0/16."""
        self.namespace.ip("address flush dev wan0", f"address add {address}/16 dev wan0")
        self.address = address

    def mappings(self) -> list[Standing]:
        """The mappings that stand now, as the kernel has them."""
        said = self.namespace.output(
            "nft", "--json", "list", "chain", "inet", "filter", "prerouting_miniupnpd"
        )
        rules = [entry["rule"]["expr"] for entry in json.loads(said)["nftables"] if "rule" in entry]
        return sorted(_mapping(rule) for rule in rules)

    def await_mappings(
        self, condition: Callable[[list[Standing]], bool], seconds: float = 10.0
    ) -> list[Standing]:
        """The first mappings that fulfil the condition. Raises TimeoutError with what stands instead."""
        give_up = time.monotonic() + seconds
        while not condition(standing := self.mappings()):
            if time.monotonic() > give_up:
                raise TimeoutError(f"after {seconds} s: {standing}")
            time.sleep(0.05)
        return standing


def _mapping(expressions: Sequence[Mapping[str, Any]]) -> Standing:
    """What miniupnpd's rule says: it matches interface, protocol number and port, in this order, and translates."""
    match expressions:
        case [
            {"match": {"right": "wan0"}},
            {"match": {"right": 6 | 17 as protocol}},
            {"match": {"right": int(external_port)}},
            {"dnat": {"addr": host, "port": port}},
        ]:
            return Standing("TCP" if protocol == 6 else "UDP", external_port, host, port)
        case _:
            raise RuntimeError(f"not a rule as miniupnpd makes them: {expressions}")


def _is_running(pid: int) -> bool:
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def _listens(pid: int, protocol: str, port: int) -> bool:
    """Whether somebody in the namespace of a process listens at a port, on whichever address."""
    unconnected = {"tcp": "0A", "udp": "07"}[protocol]
    for line in Path(f"/proc/{pid}/net/{protocol}").read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if state == unconnected and int(local.rpartition(":")[2], 16) == port:
            return True
    return False


class Lab:
    """All of it. What was begun is removed as well when it cannot be finished."""

    def __init__(self, folder: Path) -> None:
        self.name = new_lab_name()
        self._namespaces: list[Namespace] = []
        try:
            self._build(folder)
        except BaseException:
            self.close()
            raise

    def _build(self, folder: Path) -> None:
        self._internet = self._add("internet")
        self._internet.ip("link add name internet type bridge mcast_snooping 0", "link set internet up")
        self.router = self._router("router", "44.128.77.1", folder)
        self.far_router = self._router("far_router", "44.128.88.1", folder)
        self.lan = self._lan_host("lan", "192.168.77.10", self.router)
        self.other = self._lan_host("other", "192.168.77.20", self.router)
        self.far = self._lan_host("far", "192.168.77.10", self.far_router)
        self.outside = self._outside_host("outside", "44.128.10.2")
        self.elsewhere = self._outside_host("elsewhere", "44.128.20.2")

    def _add(self, name: str) -> Namespace:
        namespace = Namespace(f"{self.name}-{name}")
        self._namespaces.append(namespace)
        return namespace

    def _router(self, name: str, address: str, folder: Path) -> Router:
        namespace = self._add(name)
        self._plug(namespace, "wan0", f"{address}/16", self._internet, name, "internet")
        namespace.ip(
            "link add name br-lan type bridge mcast_snooping 0",
            "address add 192.168.77.1/24 dev br-lan",
            "link set br-lan up",
        )
        return Router(namespace, address, self._internet, name, folder / name)

    def _lan_host(self, name: str, address: str, router: Router) -> Host:
        namespace = self._add(name)
        self._plug(namespace, "eth0", f"{address}/24", router.namespace, name, "br-lan")
        namespace.ip("route add default via 192.168.77.1")
        return Host(namespace, address, router.namespace, name)

    def _outside_host(self, name: str, address: str) -> Host:
        namespace = self._add(name)
        self._plug(namespace, "eth0", f"{address}/16", self._internet, name, "internet")
        return Host(namespace, address, self._internet, name)

    def _plug(
        self, host: Namespace, device: str, address: str, switch: Namespace, port: str, bridge: str
    ) -> None:
        """A cable from a host's new device to a new port of a switch."""
        switch.ip(
            f"link add {port} type veth peer name {device} netns {host.name}",
            f"link set {port} master {bridge} up",
        )
        host.ip(f"address add {address} dev {device}", f"link set {device} up")

    def close(self) -> None:
        """Nothing of it is left afterwards: no process, no namespace."""
        names = [namespace.name for namespace in self._namespaces]
        try:
            for namespace in self._namespaces:
                namespace.reap()
        finally:
            remove_all(names)


@contextmanager
def laboratory(folder: Path) -> Iterator[Lab]:
    """A lab, its files in this folder. What is left of labs whose process was killed is removed first."""
    remove_leftovers()
    lab = Lab(folder)
    try:
        yield lab
    finally:
        lab.close()

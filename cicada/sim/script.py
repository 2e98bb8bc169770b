"""Scripts: commands to a small swarm, and the transcript of what they cause. For stories that people read.

A line that begins with ``> `` is a command. Comments (``#``) and empty lines are kept; all other lines are output and
are written anew. The commands, with peers named as the first one names them:

    peers a b c [seed=1] [successors=4] [candidates=4] [known=32] [latency=1ms-10ms] [loss=0]   clockwise; first of all
    warm [a b] [age=60s]         an ideal ring of these, or of all
    add a                        start as a ring of one
    start a                      start in no ring
    join b a                     join through others; started when it is down
    leave a
    crash a [silently]           silently: its host is gone too
    restart a b                  crash and join through others
    restart-ring a [b]           a fresh ring node behind live links
    freeze a | thaw a
    cut a b / c d | heal         groups
    send a b word | broadcast a word
    lookup a b                   a asks who owns b's place
    run 5s                       or: run until ideal [30s]
    watch messages | watch changes
    show ring | show fingers a | show sent
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from cicada.config.quantities import seconds_in
from cicada.errors import Misuse
from cicada.ids import Address, Peer
from cicada.limits import RingLimits
from cicada.sim.conditions import Conditions
from cicada.sim.names import peer_number
from cicada.sim.narration import Narrator
from cicada.sim.swarm import Swarm
from cicada.sim.warm import warm_start

PROMPT = "> "
_INDENT = "    "


def play(script: str) -> str:
    """The script with the output that its commands have now. Raises Misuse naming the line that makes no sense."""
    stage = _Stage()
    lines: list[str] = []
    for number, line in enumerate(script.splitlines(), 1):
        if line.startswith(PROMPT):
            lines.append(line.rstrip())
            try:
                lines += [(_INDENT + told).rstrip() for told in stage.obey(line.removeprefix(PROMPT).split())]
            except (Misuse, ValueError, IndexError, KeyError) as error:
                raise Misuse(f"line {number}: {line!r}: {error}") from error
        elif line.startswith("#") or not line.strip():
            lines.append(line.rstrip())
    return "\n".join(lines) + "\n"


class _Stage:
    """The swarm of one script."""

    def __init__(self) -> None:
        self._peers: dict[str, Peer] = {}
        self._names: dict[Address, str] = {}
        self._swarm = Swarm(1)
        self._narrator = Narrator(self._swarm, self._names)
        self._sent: Counter[str] = Counter()
        self._commands: dict[str, Callable[[list[str], dict[str, str]], list[str] | None]] = {
            "peers": self._name_peers,
            "warm": self._warm,
            "add": lambda words, _: self._swarm.create(self._peer(words[0])),
            "start": lambda words, _: self._start(words),
            "join": lambda words, _: self._swarm.join(*self._several(words)),
            "leave": lambda words, _: self._swarm.leave(self._peer(words[0])),
            "crash": lambda words, _: self._crash(words),
            "restart": lambda words, _: self._swarm.restart(*self._several(words)),
            "restart-ring": lambda words, _: self._swarm.restart_ring(*self._several(words)),
            "freeze": lambda words, _: self._swarm.freeze(self._peer(words[0])),
            "thaw": lambda words, _: self._swarm.thaw(self._peer(words[0])),
            "cut": lambda words, _: self._cut(words),
            "heal": lambda words, _: self._swarm.heal(),
            "send": lambda words, _: self._send(words),
            "broadcast": lambda words, _: self._broadcast(words),
            "lookup": lambda words, _: self._look_up(words),
            "run": lambda words, _: self._run(words),
            "watch": lambda words, _: self._watch(words),
            "show": lambda words, _: self._show(words),
        }

    def obey(self, words: list[str]) -> list[str]:
        """Carry out one command; returns its output, and what happened meanwhile before it."""
        if not words or words[0] not in self._commands:
            raise Misuse(f"no such command: use one of {', '.join(self._commands)}")
        if not self._peers and words[0] != "peers":
            raise Misuse("name the peers first: peers a b c")
        plain = [word for word in words[1:] if "=" not in word]
        options = dict(word.split("=", 1) for word in words[1:] if "=" in word)
        output = self._commands[words[0]](plain, options)
        return [*self._narrator.take(), *(output or [])]

    # Beginnings

    def _name_peers(self, words: list[str], options: dict[str, str]) -> None:
        if self._peers:
            raise Misuse("the peers have their names already")
        clockwise = sorted(map(peer_number, range(len(words))), key=lambda peer: peer.place)
        self._peers = dict(zip(words, clockwise, strict=True))
        self._names = {peer.address: name for name, peer in self._peers.items()}
        low, _, high = options.get("latency", "1ms-10ms").partition("-")
        self._swarm = Swarm(
            int(options.get("seed", "1")),
            limits=RingLimits(
                successors=int(options.get("successors", "4")),
                candidates=int(options.get("candidates", "4")),
                known_peers=int(options.get("known", "32")),
            ),
            conditions=Conditions(
                latency=(seconds_in(low), seconds_in(high or low)), loss=float(options.get("loss", "0"))
            ),
        )
        self._narrator = Narrator(self._swarm, self._names)

    def _warm(self, words: list[str], options: dict[str, str]) -> None:
        peers = self._several(words) or list(self._peers.values())
        warm_start(self._swarm, peers, age=seconds_in(options.get("age", "60s")))
        self._narrator.take()

    def _start(self, words: list[str]) -> None:
        self._swarm.start(self._peer(words[0]))

    # Faults

    def _crash(self, words: list[str]) -> None:
        self._swarm.crash(self._peer(words[0]), closes_links=words[1:] != ["silently"])

    def _cut(self, words: list[str]) -> None:
        groups = [group.split() for group in " ".join(words).split("/")]
        self._swarm.cut(*(self._several(group) for group in groups))

    # Applications

    def _send(self, words: list[str]) -> list[str]:
        origin, target = self._several(words[:2])
        id = self._swarm.send(origin, target, " ".join(words[2:]).encode())
        return [f"message {id}"]

    def _broadcast(self, words: list[str]) -> list[str]:
        id = self._swarm.broadcast(self._peer(words[0]), " ".join(words[1:]).encode())
        return [f"broadcast {id}"]

    def _look_up(self, words: list[str]) -> None:
        asker, owner = self._several(words)
        self._swarm.lookup(asker, owner.place)

    # Time

    def _run(self, words: list[str]) -> list[str]:
        if words[0] != "until":
            self._swarm.run_for(seconds_in(words[0]))
            return []
        if words[1] != "ideal":
            raise Misuse("run until ideal")
        patience = seconds_in(words[2]) if len(words) > 2 else 60.0
        try:
            took = self._swarm.run_until(self._swarm.is_ideal, patience)
        except TimeoutError:
            wrong = " ".join(self._narrator.name(peer) for peer in self._swarm.truth.wrong())
            return [f"not ideal after {patience:g} s: {wrong}"]
        return [f"ideal after {took:.3f} s"]

    # Looking

    def _watch(self, words: list[str]) -> None:
        self._narrator.tells_messages = {"messages": True, "changes": False}[words[0]]

    def _show(self, words: list[str]) -> list[str]:
        if words == ["ring"]:
            return [self._row(name, peer) for name, peer in self._peers.items()]
        if words == ["sent"]:
            news, self._sent = self._swarm.sent() - self._sent, self._swarm.sent()
            return [f"{name} {number}" for name, number in sorted(news.items())]
        if words[0] == "fingers":
            fingers = self._swarm.snapshot(self._peer(words[1])).fingers
            return [" ".join(map(self._narrator.name, fingers)) or "none"]
        raise Misuse("show ring, show sent, or show fingers a")

    def _row(self, name: str, peer: Peer) -> str:
        """One peer: place as a share of the circle, how it is, predecessor, list."""
        shown = self._swarm.peer(peer)
        where = f"{name} {peer.place / (1 << 256):.3f}"
        if not shown.is_up:
            return f"{where} down"
        before = self._narrator.name(shown.predecessor) if shown.predecessor else "-"
        listed = " ".join(map(self._narrator.name, shown.successors)) or "-"
        frozen = " frozen" if shown.is_frozen else ""
        return f"{where} {shown.phase}{frozen}: {before} < {name} > {listed}"

    # Words

    def _peer(self, name: str) -> Peer:
        if name not in self._peers:
            raise Misuse(f"there is no peer {name}")
        return self._peers[name]

    def _several(self, names: list[str]) -> list[Peer]:
        return [self._peer(name) for name in names]

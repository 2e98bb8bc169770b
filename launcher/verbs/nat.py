"""``cicada nat``: what the router in front of this machine can do, and ports that it forwards. Each verb is one function."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cicada.limits import NAT
from launcher import output
from launcher.exits import Exit
from launcher.nat import work as natwork
from launcher.verbs.options import JsonOption, seconds

if TYPE_CHECKING:
    from cicada.nat.io import NatNews

app = typer.Typer(no_args_is_help=True)


class Protocol(enum.StrEnum):
    """How routers are asked."""

    PCP = "pcp"
    NAT_PMP = "nat-pmp"
    UPNP = "upnp"


PortArgument = Annotated[
    int, typer.Argument(metavar="PORT", min=1, max=65535, help="The TCP port of this machine.")
]
ExternalOption = Annotated[
    int | None,
    typer.Option(
        "--external", metavar="PORT", min=1, max=65535, help="The router's port; otherwise the same."
    ),
]
ProtocolOption = Annotated[
    Protocol | None, typer.Option("--protocol", help="Only this one; otherwise the first that does it.")
]


@app.callback()
def nat() -> None:
    """See what the router in front of this machine can do, and have it forward ports. Running swarms do so by themselves.

    \b
      cicada nat status
      cicada nat probe
      cicada nat map 50000 --hold
      cicada nat unmap 50000
    """


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Show whether a port could be mapped, how, and at which external address. Nothing is mapped.

    \b
      cicada nat status
      cicada nat status --json

    Exit code 1 when no port can be mapped.
    """
    from cicada.nat.manual import probe as ask

    output.progress("asking the router ...")
    found = natwork.outlook(ask(is_brief=True))
    if as_json:
        output.show_json(found)
    else:
        output.show(natwork.outlook_lines(found))
    _exit_unless(bool(found.protocol) or found.reason == "not-needed")


@app.command()
def probe(
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="PORT",
            min=1,
            max=65535,
            help="Map this port by each, and delete that again; take one that is not mapped.",
        ),
    ] = None,
    seed: Annotated[
        str,
        typer.Option(
            "--dial-back",
            metavar="HOST:PORT",
            help="Join the open swarm of the peer there, map a port, and have its members dial that.",
        ),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Ask the router in each protocol alone, and show what it says and how long that takes: up to half a minute.

    \b
      cicada nat probe
      cicada nat probe --port 50000
      cicada nat probe --dial-back 203.0.113.5:49610

    Exit code 1 when it answers in none, or when nobody could dial this machine.
    """
    from cicada.nat.manual import probe as ask

    output.progress("asking the router in each protocol ...")
    found = natwork.report(ask(port))
    if seed:
        output.progress(f"having members of the swarm at {seed} dial this machine ...")
        found = natwork.with_dial_back(found, seed, port or 0)
    if as_json:
        output.show_json(found)
    else:
        output.show(natwork.report_lines(found))
    is_dialled = found.dialled_back is None or found.dialled_back.dialled
    _exit_unless(is_dialled and any(each.answers for each in found.protocols))


@app.command("map")
def map_(
    port: PortArgument,
    external: ExternalOption = None,
    lease: Annotated[
        float,
        typer.Option("--lease", metavar="TIME", parser=seconds, help="For how long, if the router agrees."),
    ] = NAT.lease,
    protocol: ProtocolOption = None,
    hold: Annotated[
        bool, typer.Option("--hold", help="Keep it until Ctrl-C, renewed all the time; then delete it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Have the router forward a port to this machine, and show what it granted.

    \b
      cicada nat map 50000
      cicada nat map 50000 --external 40000 --lease 2h
      cicada nat map 50000 --hold

    Without --hold it ends with its lease, or by `cicada nat unmap`; mapping it again renews it.
    """
    lease_s = max(1, round(lease))
    if hold:
        protocols = tuple(each.value for each in (Protocol if protocol is None else (protocol,)))
        output.progress("asking the router; Ctrl-C ends the mapping ...")
        show = _show_json_line if as_json else _show_news
        stands = natwork.hold(
            port, external_port=external or 0, lease_s=lease_s, protocols=protocols, show=show
        )
        _exit_unless(stands)
        return
    from cicada.nat.manual import map_port

    output.progress("asking the router ...")
    mapped = map_port(port, external, lease_s, protocol.value if protocol else None)
    if as_json:
        output.show_json(mapped)
    else:
        output.show([natwork.mapped_line(mapped)])
    if warning := natwork.warning_of(mapped):
        output.progress(warning)


@app.command()
def unmap(
    port: PortArgument,
    external: ExternalOption = None,
    protocol: ProtocolOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete what `cicada nat map` mapped. Nothing that is not there is no failure.

    \b
      cicada nat unmap 50000
      cicada nat unmap 50000 --external 40000
    """
    from cicada.nat.manual import unmap_port

    output.progress("asking the router ...")
    unmap_port(port, external, protocol.value if protocol else None)
    if as_json:
        output.show_json(natwork.Ended(port=port, external_port=external or port))
    else:
        output.show([f"no longer mapped: {port}"])


def _show_news(news: NatNews) -> None:
    from cicada.nat.advice import meaning
    from cicada.nat.io import Mapped, NotMapped

    match news:
        case Mapped():
            output.show([natwork.mapped_line(news)])
            if warning := natwork.warning_of(news):
                output.progress(warning)
        case NotMapped():
            output.progress(f"{output.bad('not mapped')}: {meaning(news.reason)}: {news.advice}")
            output.progress(f"trying again within {news.retry_in_s:.0f} s ...")
        case _:
            output.progress(f"{output.bad('lost')}: {meaning(news.reason)}")


def _show_json_line(news: NatNews) -> None:
    typer.echo(msgspec.json.encode(natwork.Kept(what=type(news).__name__, news=news)).decode())


def _exit_unless(right: bool) -> None:
    if not right:
        raise typer.Exit(Exit.FAILURE)

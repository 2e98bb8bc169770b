"""Metrics for Prometheus: as text, and over HTTP. Needs the extra ``metrics``.

The one who scrapes reads a snapshot that whoever runs the endpoint refreshes: a scrape asks nothing of the swarm.
"""

from __future__ import annotations

import importlib.util
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from cicada.commands import Status
from cicada.errors import Unavailable
from cicada.ids import split_address
from cicada.limits import LAUNCHER
from launcher.metrics.families import Family, families

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

_THREAD = "metrics"
_POLL = 0.1  # seconds until it notices that it is to end


def require_extra() -> None:
    """Raise Unavailable when the extra is not installed."""
    if importlib.util.find_spec("prometheus_client") is None:
        raise Unavailable("metrics need an extra: pip install 'cicada-swarm[metrics]'")


def exposition(status: Status) -> str:
    """The status in Prometheus's text format. Raises Unavailable when the extra is not installed."""
    require_extra()
    from prometheus_client import generate_latest

    collector = _Collector()
    collector.status = status
    return generate_latest(_registry(collector)).decode()


class MetricsEndpoint:
    """Answers scrapes at ``listen``, from a thread of its own, one at a time; a context manager.

    Before the first ``show`` there are no metrics. Raises Unavailable when it cannot listen, or the extra is not installed.
    """

    def __init__(self, listen: str) -> None:
        require_extra()
        self.listen = listen
        self._collector = _Collector()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def show(self, status: Status) -> None:
        """What scrapes get from now on."""
        self._collector.status = status

    def __enter__(self) -> Self:
        from prometheus_client import make_wsgi_app

        try:
            self._server = _Server(self.listen)
        except OSError as error:
            raise Unavailable(
                f"metrics cannot be served at {self.listen}: {(error.strerror or str(error)).lower()}: "
                "free it, or choose another address (listen in [metrics], or --listen)"
            ) from None
        self._server.set_app(make_wsgi_app(_registry(self._collector)))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL,), name=_THREAD, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None and self._thread is not None:
            # shutdown waits for the present request without end, and a scraper may send a byte every few seconds
            ending = threading.Thread(target=self._server.shutdown, name=_THREAD, daemon=True)
            ending.start()
            ending.join(LAUNCHER.metrics_client)
            self._server.server_close()
            self._thread.join(LAUNCHER.metrics_client)


class _Collector:
    """Hands out the metrics of the last status."""

    def __init__(self) -> None:
        self.status: Status | None = None

    def collect(self) -> Iterator[Metric]:
        if self.status is not None:
            yield from map(_metric, families(self.status))


class _Server(WSGIServer):
    """One request at a time, so that no number of scrapers takes more than a backlog."""

    def __init__(self, listen: str) -> None:
        host, port = split_address(listen)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Without looking up this machine's name, which may ask a network that does not answer."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """A scraper that goes away, or is cut off, costs itself only."""


class _Handler(WSGIRequestHandler):
    timeout = LAUNCHER.metrics_client

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are no news."""


def _registry(collector: _Collector) -> CollectorRegistry:
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return registry


def _metric(family: Family) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    kind = CounterMetricFamily if family.counts else GaugeMetricFamily
    metric = kind(family.name, family.help, labels=family.labels)
    for sample in family.samples:
        metric.add_metric(sample.labels, sample.value)
    return metric

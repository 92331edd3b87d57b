"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one server; `route` is the pattern of a path, never what a client wrote."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.calls = Counter(
            "ribocast_calls", "Answers, by route and status.", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "ribocast_call_seconds", "From a call to its answer.", ["route"], buckets=_SECONDS, registry=registry
        )
        self.sequences = Counter("ribocast_sequences", "Sequences predicted for calls.", registry=registry)
        self.batch_calls = Histogram(
            "ribocast_batch_calls", "Calls that were predicted together.", buckets=_SIZES, registry=registry
        )
        self.jobs = Counter("ribocast_jobs", "Design jobs that ended.", ["end"], registry=registry)
        self._running = Gauge("ribocast_jobs_now", "Design jobs.", ["state"], registry=registry)

    def watch_jobs(self, count: Callable[[str], int]) -> None:
        """Ask, whenever the metrics are read, how many jobs are in a state."""
        for state in ("waiting", "running"):
            self._running.labels(state).set_function(partial(count, state))

    def batch(self, calls: int, sequences: int) -> None:
        """Count what was predicted together."""
        self.batch_calls.observe(calls)
        self.sequences.inc(sequences)

    def text(self) -> bytes:
        """Give all in Prometheus's text format."""
        return generate_latest(self.registry)

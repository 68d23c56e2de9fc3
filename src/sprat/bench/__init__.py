"""Measurements of exported files. Each runs in a fresh process and carries its conditions."""

from sprat.bench.condition import cpu_name, load_average
from sprat.bench.latency import latency
from sprat.bench.memory import peak_memory
from sprat.bench.verify import Verified, verify

__all__ = ["Verified", "cpu_name", "latency", "load_average", "peak_memory", "verify"]

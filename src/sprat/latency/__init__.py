"""Latency predicted without running: the kernels that ONNX Runtime would run, and what each takes on this machine.

Free of torch: `sprat pick` predicts thousands of networks from cached rows.
"""

from sprat.latency.fit import Errors, Measured, errors, fit
from sprat.latency.kernel import COLUMNS, Kind, Row, conv_kind, slice_extra, under_pressure
from sprat.latency.machine import calibration_path, processor, runtime
from sprat.latency.model import LatencyModel
from sprat.latency.shadow import kernels

__all__ = [
    "COLUMNS",
    "Errors",
    "Kind",
    "LatencyModel",
    "Measured",
    "Row",
    "calibration_path",
    "conv_kind",
    "errors",
    "fit",
    "kernels",
    "processor",
    "runtime",
    "slice_extra",
    "under_pressure",
]

"""Report: one self-contained HTML page made from a run folder."""

from sprat.report.figures import facts
from sprat.report.heat import overlay
from sprat.report.write import write

__all__ = ["facts", "overlay", "write"]

"""Files that leave sprat, one format a file, and what proves that they are right."""

from sprat.export.agreement import Agreement, agreement, require
from sprat.export.gradcam import grad_cam
from sprat.export.load import Predictor, SpratPredictor, describe, load, read_manifest, read_network
from sprat.export.onnx import to_onnx
from sprat.export.scores import fresh_scores
from sprat.export.sprat import state_of, to_sprat

__all__ = [
    "Agreement",
    "Predictor",
    "SpratPredictor",
    "agreement",
    "describe",
    "fresh_scores",
    "grad_cam",
    "load",
    "read_manifest",
    "read_network",
    "require",
    "state_of",
    "to_onnx",
    "to_sprat",
]

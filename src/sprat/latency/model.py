"""LatencyModel: milliseconds of a network from its kernels, as calibrated on this machine."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sprat.atomic import write_atomic
from sprat.errors import BadInput
from sprat.latency.features import NUM_PLACES, NUM_WORKS, Floats, Rows
from sprat.latency.kernel import COLUMNS, Kind, Row
from sprat.latency.machine import calibration_path, processor, runtime
from sprat.latency.regression import Law

FORMAT = 1
AGAIN = "run `sprat bench --calibrate`"
LEAST_US = 0.05  # no kernel is faster


@dataclass(frozen=True, eq=False)
class LatencyModel:
    """A calibration: the measured table of kernels and the laws fitted to it.

    Args:
        laws: kind of kernel to its law, in microseconds of the runtime's own profile.
        scale: of the profile's time, see `per_kernel_us`.
        per_kernel_us: what a kernel takes beyond `scale` times its profile; below 0, as profiling costs time.
        constant_us: of one call.
        block: channels in a block of the runtime's layout here.
        rows: (n, 11) kernels that were measured, each once.
        us: (n,) median microseconds of each.
        times: (n,) how often it was measured.
        conditions: machine, versions, date, load and the errors found by cross-validation.
    """

    laws: Mapping[int, Law]
    scale: float
    per_kernel_us: float
    constant_us: float
    block: int
    rows: Rows
    us: Floats
    times: Floats
    conditions: Mapping[str, Any]

    @property
    def overhead_ms(self) -> float:
        """Milliseconds of one call beside its kernels; may be below 0."""
        return self.constant_us / 1000

    def predict_rows(self, rows: Rows) -> Floats:
        """(n,) milliseconds of each kernel of rows (n, 11), each above 0.

        Raises:
            BadInput: a kind of kernel that the calibration did not see.
        """
        rows = np.asarray(rows, np.int64).reshape(-1, len(COLUMNS))
        us = np.zeros(len(rows))
        for kind in np.unique(rows[:, 0]):
            if (law := self.laws.get(int(kind))) is None:
                raise BadInput(
                    f"the calibration measured no {Kind(int(kind)).name} kernels; {AGAIN} with more --minutes"
                )
            mask = rows[:, 0] == kind
            us[mask] = law.us(rows[mask])
        ms: Floats = np.maximum(self.scale * us + self.per_kernel_us, LEAST_US) / 1000
        return ms

    def predict(self, rows: Sequence[Row]) -> float:
        """Milliseconds of a network that runs these kernels.

        Raises:
            BadInput: a kind of kernel that the calibration did not see.
        """
        unique, index = np.unique(np.array(rows, np.int64).reshape(-1, len(COLUMNS)), axis=0, return_inverse=True)
        return max(LEAST_US / 1000, self.overhead_ms + float(self.predict_rows(unique)[index.ravel()].sum()))

    def save(self, path: Path | None = None) -> Path:
        """The file written, in one step: `path`, or the place of this machine's calibration."""
        path = calibration_path() if path is None else path
        arrays: dict[str, Any] = {"rows": self.rows, "us": self.us, "times": self.times}
        for kind, law in self.laws.items():
            arrays |= {f"weights_{kind}": law.weights, f"centres_{kind}": law.centres.astype(np.float32)}
            arrays[f"corrections_{kind}"] = law.corrections
        about = {
            "format": FORMAT,
            "columns": COLUMNS,
            "kinds": {str(int(kind)): Kind(kind).name for kind in self.laws},
            "scale": self.scale,
            "per_kernel_us": self.per_kernel_us,
            "constant_us": self.constant_us,
            "block": self.block,
            "conditions": dict(self.conditions),
        }
        content = io.BytesIO()
        np.savez_compressed(content, about=np.array(json.dumps(about)), **arrays)
        write_atomic(path, content.getvalue())
        return path

    @classmethod
    def load(cls, path: Path | None = None) -> "LatencyModel | None":
        """The calibration in a file; without a path this machine's, or None where there is none.

        Raises:
            BadInput: the file is missing or damaged, or is of another processor or ONNX Runtime.
        """
        if path is None and not calibration_path().is_file():
            return None
        path = calibration_path() if path is None else path
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                about = json.loads(str(arrays["about"]))
                found = {name: arrays[name] for name in arrays.files}
        except OSError as error:
            raise BadInput(f"cannot read the calibration {path}: {error.strerror or error}; {AGAIN}") from error
        except Exception as error:  # zipfile, zlib, json and numpy each have their own
            raise BadInput(f"{path} is not a calibration or is damaged; {AGAIN}") from error
        return _checked(path, about, found)


def _checked(path: Path, about: Any, found: dict[str, Any]) -> LatencyModel:
    """The model of a file's values, where they are whole and of this machine."""
    if not isinstance(about, dict) or about.get("format") != FORMAT or about.get("columns") != list(COLUMNS):
        raise BadInput(f"the calibration {path} has another format; {AGAIN}")
    conditions = about.get("conditions", {})
    here = {"processor": processor(), "runtime": runtime()}
    for name, value in here.items():
        if conditions.get(name) != value:
            raise BadInput(f"the calibration {path} is of {name} {conditions.get(name)!r}, this is {value!r}; {AGAIN}")
    try:
        laws = {
            int(kind): Law(found[f"weights_{kind}"], found[f"centres_{kind}"], found[f"corrections_{kind}"])
            for kind in about["kinds"]
            if Kind(int(kind)).name == about["kinds"][kind]
        }
        model = LatencyModel(
            laws,
            float(about["scale"]),
            float(about["per_kernel_us"]),
            float(about["constant_us"]),
            int(about["block"]),
            found["rows"],
            found["us"],
            found["times"],
            conditions,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"the calibration {path} is incomplete: {error}; {AGAIN}") from error
    shapes = [
        law.weights.shape == (NUM_WORKS,)
        and law.centres.ndim == 2
        and law.centres.shape == (len(law.corrections), NUM_PLACES)
        and bool(np.isfinite(law.weights).all() and np.isfinite(law.corrections).all())
        for law in laws.values()
    ]
    if not (laws and len(laws) == len(about["kinds"]) and all(shapes) and model.rows.shape[1:] == (len(COLUMNS),)):
        raise BadInput(f"the calibration {path} is damaged; {AGAIN}")
    return model

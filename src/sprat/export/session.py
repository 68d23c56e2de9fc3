"""Opening an .onnx file with ONNX Runtime, one thread by default."""

from pathlib import Path
from typing import Any

from sprat.errors import BadArtifact
from sprat.needed import import_late

INPUT, OUTPUT = "image", "probabilities"


def open_session(path: Path, *, threads: int = 1) -> Any:
    """An onnxruntime.InferenceSession on the CPU, nodes run one after the other, `threads` threads within a node.

    Raises:
        BadArtifact: ONNX Runtime cannot open the file, or it does not have sprat's input and output.
        BadInput: onnxruntime is not installed.
    """
    runtime = import_late("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen unrelated types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadArtifact(f"ONNX Runtime {runtime.__version__} cannot open {path}: {reason}; export it again") from None
    inputs = [(i.name, i.type, len(i.shape)) for i in session.get_inputs()]
    outputs = [o.name for o in session.get_outputs()]
    if inputs != [(INPUT, "tensor(uint8)", 4)] or outputs != [OUTPUT]:
        raise BadArtifact(
            f"{path} has the inputs {inputs} and outputs {outputs}; a file made by sprat takes uint8 images "
            f"(N, H, W, C) as {INPUT!r} and gives {OUTPUT!r}"
        )
    return session

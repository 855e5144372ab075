"""Sessions of ONNX Runtime, on the processor, that keep to the number of threads of PyTorch."""

from pathlib import Path
from typing import Any

import torch

from improved_gan.optional_import import optional_import

__all__ = ["onnx_session"]


def onnx_session(network: Path | bytes) -> Any:
    """An `onnxruntime.InferenceSession`; its number of threads is that of PyTorch at this call.

    By itself a session takes all cores, whatever `--threads` says and however many processes share them.

    Args:
        network: the file, or its content.

    Raises:
        ModuleNotFoundError: onnxruntime is not installed; of onnxruntime's own errors any, where it cannot read it.
    """
    onnxruntime = optional_import("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # while images are read
    content = network if isinstance(network, bytes) else str(network)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

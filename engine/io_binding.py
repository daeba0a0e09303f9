"""Runs a network on images where torch holds them: those on a graphics card are not copied to the processor and back.

ONNX Runtime's manual calls this I/O binding.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
import torch
from torch import Tensor


def run_bound(
    session: onnxruntime.InferenceSession, images: Tensor, settings: onnxruntime.RunOptions | None = None
) -> Tensor:
    """Return what a network of one input and one output makes of images, on their device.

    Args:
        session: of a network that keeps the size of images.
        images: (n, band, row, column), float32, contiguous, where one of the session's providers computes.
        settings: of the run.

    Raises:
        Exception: whatever ONNX Runtime raises.
    """
    restored = torch.empty_like(images)
    binding = session.io_binding()
    where = (images.device.type, images.device.index or 0, np.float32, tuple(images.shape))
    binding.bind_input(session.get_inputs()[0].name, *where, images.data_ptr())
    binding.bind_output(session.get_outputs()[0].name, *where, restored.data_ptr())
    # Torch and ONNX Runtime each queue their work by themselves: neither may start before the other has finished.
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
    session.run_with_iobinding(binding, settings)
    binding.synchronize_outputs()
    return restored

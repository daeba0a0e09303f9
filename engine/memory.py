"""How the libraries of the engine say that memory ran out, each in its own way; and how it is given back."""

from __future__ import annotations

import ctypes
import sys

# torch, onnxruntime and the C++ library; some say it in a plain RuntimeError.
_SIGNS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "failed to allocate memory",
    "bad_alloc",
    "bad allocation",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that there was too little memory, the processor's or the graphics card's."""
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _SIGNS)


def give_back_memory() -> None:
    """Let the system have what is free between what is in use; else a long job's pieces of it add up (glibc only)."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)

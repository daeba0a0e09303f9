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
    """Whether an error means that there was too little memory, the processor's or the graphics card's.

    Or one that it came of: what is left half done, such as the capture of a CUDA graph, may raise another over it.
    """
    return any(isinstance(one, MemoryError) or any(sign in str(one).lower() for sign in _SIGNS) for one in _all(error))


def _all(error: BaseException) -> list[BaseException]:
    """Return the error and all that it came of."""
    found: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        # Two errors may name each other.
        if one is not None and one not in found:
            found.append(one)
            left += [one.__cause__, one.__context__]
    return found


def give_back_memory() -> None:
    """Let the system have what is free between what is in use; else a long job's pieces of it add up (glibc only)."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)

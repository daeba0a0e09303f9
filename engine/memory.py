"""How the libraries of the engine say that memory ran out, each in its own way."""

from __future__ import annotations

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

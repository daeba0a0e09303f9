"""A lack of memory is known by what the libraries say, and by what came of it."""

from __future__ import annotations

import pytest

from headland.engine.memory import is_out_of_memory


def raised(error: Exception, over: Exception, *, is_cause: bool = False) -> Exception:
    """Return ``error`` as it is where it was raised while ``over`` was handled."""
    with pytest.raises(type(error)) as caught:  # noqa: PT012, one raise inside of the other is what is asked for
        try:
            raise over
        except type(over) as first:
            if is_cause:
                raise error from first
            raise error  # noqa: B904, its context is what is asked for
    return caught.value


@pytest.mark.parametrize("is_cause", [True, False])
def test_an_error_over_a_lack_of_memory_means_a_lack_of_memory(is_cause: bool) -> None:
    over = RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
    assert is_out_of_memory(raised(RuntimeError("CUDA error: capture invalidated"), over, is_cause=is_cause))


def test_an_error_over_another_does_not() -> None:
    assert not is_out_of_memory(raised(RuntimeError("CUDA error: capture invalidated"), ValueError("a bug")))


def test_errors_that_name_each_other_are_looked_at_once() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert not is_out_of_memory(one)

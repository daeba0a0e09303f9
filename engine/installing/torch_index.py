"""The index of PyTorch's own builds: somebody has to name it, and without it others are installed.

The usual index lacks two builds of torch, Linux's for the processor alone and Windows's for CUDA. PyTorch's own pages
name the index that has them; Headland does not, so that nothing is fetched from where nobody has chosen.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Optional
from urllib.parse import unquote, urlsplit

from ..environment import EnvironmentProblem
from .graphics import GraphicsCard
from .locks import LOCKS, Build, Choice, Lock
from .network import hide_secrets
from .pythons import Python

TORCH_INDEX_VARIABLE = "HEADLAND_TORCH_INDEX"
_SCHEMES = ("https", "http", "file")


def named_torch_index(wish: Optional[str]) -> Optional[str]:
    """Return the index that is wished for, else ``$HEADLAND_TORCH_INDEX``; None if neither is given.

    Raises:
        EnvironmentProblem: if it is no address; the sentence does not repeat it, since a password may be in it.
    """
    address = (wish or "").strip() or os.environ.get(TORCH_INDEX_VARIABLE, "").strip()
    if not address:
        return None
    try:
        parts = urlsplit(address)
        is_address = parts.scheme.lower() in _SCHEMES and bool(parts.netloc or parts.path.strip("/"))
    except ValueError:
        is_address = False
    if not is_address:
        raise EnvironmentProblem(
            "The index of PyTorch’s builds is no address; it begins with https:// and PyTorch’s own pages name it."
        )
    return address


def secrets_of(index: Optional[str]) -> tuple[str, ...]:
    """Return what no log may show of an index: its address too, whose path may be a password."""
    if index is None:
        return ()
    password = unquote(urlsplit(index).password or "")
    # A log loses names and passwords in addresses first, so the address is looked for without them as well.
    return tuple(filter(None, (index.rstrip("/"), hide_secrets(index).rstrip("/"), password)))


def without_torch_index(choice: Choice, python: Python, wish: Build, cards: Sequence[GraphicsCard]) -> Choice:
    """Return what to install instead of ``choice``, whose torch is where nobody has said.

    Raises:
        EnvironmentProblem: if that is nothing, or not what was wished for.
    """
    other = Build.CPU if choice.lock.build is Build.CUDA else Build.CUDA
    fitting = (lock for lock in LOCKS if lock.platform == python.platform and python.machine in lock.machines)
    lock = next((lock for lock in fitting if lock.build is other and not lock.is_torch_apart), None)
    if lock is None or (other is Build.CPU and wish is Build.CUDA):
        raise EnvironmentProblem(why_index_is_needed(choice.lock))
    if other is Build.CPU:
        return Choice(
            lock,
            "Computes on the processor; for the graphics card name an index of PyTorch’s builds for CUDA 13.0 in the "
            f"options, for a download of {_gigabytes(choice.lock)} instead of {_gigabytes(lock)}.",
        )
    smaller = (
        "name an index of PyTorch’s builds for the processor in the options for a download of "
        f"{_gigabytes(choice.lock)} instead."
    )
    usable = [card for card in cards if card.problem() is None]
    if usable:
        # Only the wish was against the card, and this build does not know of it.
        reason = (
            f"The build for graphics cards, a download of {_gigabytes(lock)}, which takes the {usable[0].name} unless "
            f"the device is set to the processor; {smaller}"
        )
    else:
        reason = (
            f"{choice.reason.rstrip('.')}; the build for graphics cards does so as well, in a download of "
            f"{_gigabytes(lock)}; {smaller}"
        )
    return Choice(lock, reason, is_for_processor=True)


def why_index_is_needed(lock: Lock) -> str:
    """Return one sentence: what to name before ``lock`` can be had."""
    kind = "CUDA 13.0" if lock.build is Build.CUDA else "the processor"
    return (
        f"PyTorch’s build for {kind} is not on the usual index; name an index of PyTorch’s builds in the options "
        f"(--torch-index or {TORCH_INDEX_VARIABLE}), or take a folder of wheels."
    )


def _gigabytes(lock: Lock) -> str:
    return f"{lock.download_bytes / 1e9:.1f} GB"

"""Runs a module as ``python -m`` would, and ends when whoever started it is gone.

usage: python -I watched.py MODULE ARGUMENTS…

The other end of standard input closes when QGIS ends, however that happens. Without this a pip whose QGIS was killed
would go on downloading gigabytes into a folder that the next set-up is about to remove. This program imports nothing of
Headland: it runs in an environment that is just being made.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

NICENESS = 10


def watch(stream_number: int) -> None:
    """Wait for the end of the stream, then end this process and what it has started."""
    while os.read(stream_number, 4096):
        pass
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def main() -> None:
    """Watch, and become the module."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    watched = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=watch, args=(watched,), daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

"""The worker process's program: ``<engine python> -I engine/worker.py JOB_FOLDER``.

It only prepares the ground: standard output and input are set apart for the protocol before any library can touch
them, and the plugin's folder becomes the package ``headland``, whatever that folder is called. The job itself is
``job_runner``'s.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import BinaryIO

PACKAGE = "headland"
NICENESS = 10


def main(arguments: list[str]) -> int:
    """Run the job in the folder that ``arguments`` names and return the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: worker.py JOB_FOLDER\n")
        return 2
    commands, events = claim_standard_streams()
    if hasattr(os, "nice"):
        # QGIS and the person before it come first.
        os.nice(NICENESS)
    # Before torch loads OpenMP. By default its threads spin while they wait; on a computer where QGIS or anything else
    # needs a core too, that made the fit seven times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    register_package(Path(__file__).absolute().parent.parent)
    job_runner = importlib.import_module(f"{PACKAGE}.engine.job_runner")
    status: int = job_runner.run(Path(arguments[0]), commands, events)
    return status


def claim_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return the real standard input and output, and leave the null device and standard error in their places.

    A library that prints, even from C, then writes into the log; one that reads finds nothing.
    """
    commands = os.fdopen(os.dup(0), "rb", buffering=0)
    events = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return commands, events


def register_package(root: Path) -> None:
    """Make ``import headland`` find the folder ``root``, although its parent is not on the path."""
    spec = importlib.util.spec_from_file_location(PACKAGE, root / "__init__.py", submodule_search_locations=[str(root)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{root} is not a package")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    exit_status = main(sys.argv[1:])
    sys.stderr.flush()
    # The interpreter's own way out would wait for the thread on standard input and run torch's teardown, which can
    # crash after the work is done.
    os._exit(exit_status)

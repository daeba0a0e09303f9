"""What a failed installation means and what to do, read off what pip, Python or the system's loader printed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class KnownFailure:
    """A failure that people meet.

    Attributes:
        signs: how it shows.
        advice: what to do, to be put after a colon.
        is_lasting: whether trying again, as pip does for a minute, changes nothing.
    """

    name: str
    signs: re.Pattern[str]
    advice: str
    is_lasting: bool = False


def _known(name: str, signs: str, advice: str, *, is_lasting: bool = False) -> KnownFailure:
    return KnownFailure(name, re.compile(signs, re.IGNORECASE), advice, is_lasting)


# In this order: the sharper sign first.
KNOWN_FAILURES = (
    _known(
        "disk full",
        r"No space left on device|Errno 28|Disk quota exceeded|Errno 122|WinError 112|not enough space on the disk",
        "the disk is full, so free some space and try again",
    ),
    _known(
        "hash mismatch",
        r"DO NOT MATCH THE HASHES|hash(?:es)? (?:mismatch|do not match)",
        "a file is not the one that Headland was made with, so something on the way changes downloads or the index "
        "serves others; try another network, or a folder of wheels",
    ),
    _known(
        "proxy wants a password",
        r"407 Proxy|Proxy Authentication Required|HTTP 407",
        "the proxy wants a user name and password, so enter them in QGIS (Settings, Options, Network) and try again",
        is_lasting=True,
    ),
    _known(
        "SOCKS proxy",
        r"Missing dependencies for SOCKS support",
        "pip cannot use a SOCKS proxy, so enter an HTTP proxy in QGIS (Settings, Options, Network) or take a folder "
        "of wheels",
        is_lasting=True,
    ),
    _known(
        "certificate",
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|SSLError|certificate verify failed|"
        r"invalid path to a TLS CA",
        "the connection is not trusted, often because a company’s network looks into it, so have its certificate "
        "installed in the system’s store, or take a folder of wheels",
        is_lasting=True,
    ),
    _known(
        "proxy",
        r"ProxyError|Cannot connect to proxy|Tunnel connection failed",
        "the proxy refuses or does not answer, so check the proxy in QGIS (Settings, Options, Network)",
    ),
    _known(
        "access to the index",
        r"(?:401|403) (?:Client )?(?:Error|Unauthorized|Forbidden)|ERROR: .*HTTP error 40[13]",
        "the package index refuses access, so ask whoever runs it, or take a folder of wheels",
    ),
    _known(
        "no connection",
        r"NewConnectionError|NameResolutionError|Name or service not known|getaddrinfo failed|ConnectTimeout|"
        r"ReadTimeout|Read timed out|Connection (?:refused|reset|aborted)|Network is unreachable|"
        r"Max retries exceeded|IncompleteRead",
        "the package index cannot be reached or the connection broke off, so check connection and proxy and try again; "
        "without a network take a folder of wheels",
    ),
    _known(
        "policy",
        r"WinError 1260|blocked by group policy|AppLocker|WinError 4551|Application Control policy|"
        r"Operation not permitted",
        "a policy of this computer does not let new programs run, so ask its administrator to allow the engine’s "
        "folder or to install the engine",
    ),
    _known(
        "Visual C++ runtime",
        r"vcruntime140|msvcp140|WinError 126\b.*(?:torch|c10|onnxruntime)|(?:torch|c10|onnxruntime).*WinError 126\b|"
        r"WinError 1114|DLL load failed while importing onnxruntime|Microsoft Visual C\+\+ Redistributable",
        "Windows lacks Microsoft’s Visual C++ runtime, so install the “Visual C++ Redistributable” (x64) from "
        "Microsoft and try again",
    ),
    _known(
        "old system",
        r"GLIBC(?:XX)?_[\d.]+' not found|cannot open shared object file|macOS version",
        "this system lacks a library that the packages need; it may be too old for them",
    ),
    _known(
        "no wheel",
        r"No matching distribution|Could not find a version|is not a supported wheel on this platform|"
        r"Ignored the following versions that require a different python",
        "the index or folder has no package for this system and Python, so try another Python, or check the folder of "
        "wheels or the index of PyTorch’s builds",
    ),
    _known(
        "ensurepip",
        r"ensurepip",
        "it lacks ensurepip, so install it (on Debian and Ubuntu: apt install python3-venv)",
    ),
    _known(
        "no permission",
        r"Permission denied|Errno 13|WinError 5\b|Access is denied|Read-only file system",
        "the folder may not be written to, or a virus scanner holds a file; choose another folder, or close other "
        "programs and try again",
    ),
)


def recognise(output: str) -> Optional[KnownFailure]:
    """Return the failure that ``output`` shows, None if it is none of the known ones."""
    return next((failure for failure in KNOWN_FAILURES if failure.signs.search(output)), None)


def explain(what_failed: str, output: str) -> str:
    """Return one sentence: what failed, and what to do as far as ``output`` tells."""
    failure = recognise(output)
    return f"{what_failed}; the details say why." if failure is None else f"{what_failed}: {failure.advice}."

"""How pip reaches its index: a proxy, certificates, and what pip itself was told by its user or administrator."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional
from urllib.parse import quote

# A user name and password in an address.
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
# Lines of "pip config list", such as global.index-url='…' and :env:.find-links='…'.
_OWN_SOURCES = re.compile(r"^\S+\.(?:index-url|extra-index-url|find-links|no-index)=", re.MULTILINE)
_OWN_CERTIFICATES = re.compile(r"^\S+\.cert=", re.MULTILINE)
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy. ``excluded`` are hosts that are reached without it."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    scheme: str = "http"
    excluded: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return it without its secrets: a traceback may show it."""
        return f"Proxy({self.scheme}://{self.host}:{self.port})"

    @property
    def url(self) -> str:
        """The proxy with user name and password, as environment variables have it."""
        who = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{who}{host}" + (f":{self.port}" if self.port else "")


@dataclass(frozen=True)
class Network:
    """What QGIS knows of the network and pip does not.

    Attributes:
        proxy: None to leave it to the system.
        certificates: a PEM file of the authorities that the system trusts, None to leave it to pip.
    """

    proxy: Optional[Proxy] = None
    certificates: Optional[Path] = None

    def variables(self, present: Iterable[str] = ()) -> dict[str, str]:
        """Return what to set in pip's environment.

        Args:
            present: names of variables that are set; certificates named there by somebody go first.
        """
        variables = {}
        if self.proxy is not None:
            variables.update(dict.fromkeys(_PROXY_VARIABLES, self.proxy.url))
            if self.proxy.excluded:
                variables.update(dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(self.proxy.excluded)))
        names = ("PIP_CERT", "REQUESTS_CA_BUNDLE")
        if self.certificates is not None and not set(names) & set(present):
            # Both: CURL_CA_BUNDLE, which QGIS's launchers set, would overrule the first.
            variables.update(dict.fromkeys(names, str(self.certificates)))
        return variables

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no log may show."""
        return (self.proxy.password,) if self.proxy is not None and self.proxy.password else ()


def hide_secrets(text: str, *secrets: str) -> str:
    """Return ``text`` without user names and passwords in addresses, and without ``secrets`` wherever they stand."""
    text = _CREDENTIALS.sub("***", text)
    for secret in filter(None, secrets):
        for form in (secret, quote(secret, safe="")):
            text = text.replace(form, "***")
    return text


def has_own_certificates(pip_configuration: str) -> bool:
    """Whether ``pip config list`` names certificates: then no others are wanted."""
    return _OWN_CERTIFICATES.search(pip_configuration) is not None


def has_own_sources(pip_configuration: str) -> bool:
    """Whether ``pip config list`` names an index or a folder of wheels: then packages come from there alone."""
    return _OWN_SOURCES.search(pip_configuration) is not None

"""QGIS's network settings, as the engine's set-up needs them: proxy with its password, and trusted authorities."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Optional

from qgis.core import QgsApplication, QgsNetworkAccessManager
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtNetwork import QNetworkProxy, QNetworkProxyFactory, QNetworkProxyQuery, QSslConfiguration

from ..engine.environment import cache_folder
from ..engine.installing.network import Network, Proxy

_SCHEMES = {
    QNetworkProxy.ProxyType.HttpProxy: "http",
    QNetworkProxy.ProxyType.HttpCachingProxy: "http",
    QNetworkProxy.ProxyType.Socks5Proxy: "socks5h",
}
# Some address outside: a system may have different proxies for different ones, and this is asked of the system alone.
_SOMEWHERE = QUrl("https://www.python.org/")


def qgis_network() -> Network:
    """Return QGIS's proxy, with its authentication, and the system's authorities. On the main thread."""
    return Network(_proxy(), _certificates())


def authorities_file() -> Path:
    """Return where those whom the system trusts are written down, there or not."""
    return cache_folder() / "authorities.pem"


def _proxy() -> Optional[Proxy]:
    manager = QgsNetworkAccessManager.instance()
    proxy = manager.fallbackProxy()
    if proxy.type() == QNetworkProxy.ProxyType.DefaultProxy and manager.useSystemProxy():
        proxy = QNetworkProxyFactory.systemProxyForQuery(QNetworkProxyQuery(_SOMEWHERE))[0]
    scheme = _SCHEMES.get(proxy.type())
    if scheme is None or not proxy.hostName():
        return None
    hosts = [QUrl(entry).host() or entry for entry in (*manager.excludeList(), *manager.noProxyList())]
    excluded = tuple(dict.fromkeys(filter(None, hosts)))
    return Proxy(proxy.hostName(), proxy.port(), proxy.user(), proxy.password(), scheme, excluded)


def _certificates() -> Optional[Path]:
    """Write down whom the system and QGIS trust, in a form that pip reads; None where that cannot be had."""
    trusted = [*QSslConfiguration.systemCaCertificates(), *QgsApplication.authManager().trustedCaCertsCache()]
    content = b"".join(sorted({bytes(certificate.toPem()) for certificate in trusted}))
    if not content:
        return None
    file = authorities_file()
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file
    return None

"""QGIS's network settings reach pip: the proxy with its password, and whom the system trusts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from qgis.core import QgsNetworkAccessManager, QgsSettings
from qgis.PyQt.QtNetwork import QSslConfiguration

from headland.bridge.network_settings import qgis_network

PROXY = {
    "proxyEnabled": True,
    "proxyType": "HttpProxy",
    "proxyHost": "proxy.example",
    "proxyPort": "8080",
    "proxyUser": "anna",
    "proxyPassword": "p@ss/wörd",
    "noProxyUrls": ["http://intern.example"],
}


@pytest.fixture
def proxy_settings() -> Iterator[None]:
    """A proxy with a password, as a person enters it in QGIS."""
    settings = QgsSettings()
    before = {name: settings.value(f"proxy/{name}") for name in PROXY}
    for name, value in PROXY.items():
        settings.setValue(f"proxy/{name}", value)
    QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()
    yield
    for name, value in before.items():
        if value is None:
            settings.remove(f"proxy/{name}")
        else:
            settings.setValue(f"proxy/{name}", value)
    QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()


def test_the_proxy_that_a_person_entered_in_qgis_is_handed_on_with_its_password(proxy_settings: None) -> None:
    network = qgis_network()
    assert network.proxy is not None
    assert network.variables()["HTTPS_PROXY"] == "http://anna:p%40ss%2Fw%C3%B6rd@proxy.example:8080"
    assert "intern.example" in network.variables()["NO_PROXY"]
    assert network.secrets == ("p@ss/wörd",)


def test_without_a_proxy_in_qgis_nothing_is_said_about_one() -> None:
    assert qgis_network().proxy is None


def test_whom_the_system_trusts_is_written_down_for_pip(cache_folder: Path) -> None:
    if not QSslConfiguration.systemCaCertificates():
        pytest.skip("this system trusts nobody")
    certificates = qgis_network().certificates
    assert certificates is not None
    assert certificates.parent == cache_folder
    assert certificates.read_text().count("BEGIN CERTIFICATE") > 1

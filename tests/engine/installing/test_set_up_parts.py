"""The small parts of setting the engine up: known failures, the network, the environment of child processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headland.engine.child_process import child_environment
from headland.engine.installing import running
from headland.engine.installing.failures import explain, recognise
from headland.engine.installing.network import Network, Proxy, has_own_sources, hide_secrets

# As the programs print them, shortened.
OUTPUTS = {
    "disk full": "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
    "hash mismatch": (
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package\n"
        "    torch==2.13.0 from https://…: Expected sha256 00 Got 11"
    ),
    "proxy wants a password": (
        "WARNING: Retrying (Retry(total=4, …)) after connection broken by 'ProxyError('Cannot connect to proxy.', "
        "OSError('Tunnel connection failed: 407 Proxy Authentication Required'))': /simple/torch/"
    ),
    "SOCKS proxy": "ERROR: Could not install packages due to an OSError: Missing dependencies for SOCKS support.",
    "certificate": (
        "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed "
        "certificate in certificate chain (_ssl.c:1006)'))"
    ),
    "proxy": "ProxyError('Cannot connect to proxy.', NewConnectionError('… [Errno 111] Connection refused'))",
    "access to the index": "ERROR: HTTP error 403 while getting https://index.example/torch.whl",
    "no connection": (
        "NewConnectionError('<…>: Failed to establish a new connection: [Errno -2] Name or service not known')\n"
        "ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: none)"
    ),
    "policy": "OSError: [WinError 1260] This program is blocked by group policy.",
    "Visual C++ runtime": (
        "OSError: [WinError 126] The specified module could not be found. Error loading "
        r"'C:\\e\\torch\\lib\\c10.dll' or one of its dependencies."
    ),
    "old system": "OSError: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.28' not found (required by libtorch.so)",
    "no wheel": "ERROR: No matching distribution found for torch==2.13.0",
    "ensurepip": "The virtual environment was not created successfully because ensurepip is not available.",
    "no permission": "PermissionError: [WinError 5] Access is denied: 'C:\\\\Users\\\\a\\\\engine'",
}


@pytest.mark.parametrize(("name", "output"), OUTPUTS.items(), ids=OUTPUTS)
def test_a_known_failure_is_recognised_and_says_what_to_do(name: str, output: str) -> None:
    failure = recognise(output)
    assert failure is not None
    assert failure.name == name
    sentence = explain("The engine’s packages could not be installed", output)
    assert sentence.count(". ") == 0
    assert sentence.endswith(".")
    assert failure.advice in sentence


def test_an_unknown_failure_points_to_the_details() -> None:
    assert explain("It failed", "Segmentation fault") == "It failed; the details say why."


def test_a_proxy_with_its_password_goes_into_variables_and_shows_itself_without() -> None:
    proxy = Proxy("proxy.example", 8080, "DOMAIN\\anna", "p@ss:word/%", excluded=("localhost", ".example"))
    variables = Network(proxy).variables()
    assert variables["HTTPS_PROXY"] == "http://DOMAIN%5Canna:p%40ss%3Aword%2F%25@proxy.example:8080"
    assert variables["no_proxy"] == "localhost,.example"
    assert "ss" not in repr(Network(proxy)).replace("Network", "")


def test_certificates_of_the_system_are_used_unless_somebody_named_others() -> None:
    network = Network(certificates=Path("/c/system.pem"))
    assert network.variables()["PIP_CERT"] == network.variables()["REQUESTS_CA_BUNDLE"] == "/c/system.pem"
    assert "PIP_CERT" not in network.variables(["REQUESTS_CA_BUNDLE"])


def test_no_secret_passes_into_a_log() -> None:
    line = "Looking in indexes: https://anna:s3cret@index.example/simple, failed with s3cret%2F"
    assert hide_secrets(line, "s3cret/") == "Looking in indexes: https://***@index.example/simple, failed with ***"


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ("", False),
        ("global.timeout='60'\nglobal.cert='/etc/ssl/c.pem'", False),
        ("global.index-url='https://index.example/simple'", True),
        ("install.find-links='/wheels'", True),
        (":env:.extra-index-url='https://index.example'", True),
    ],
)
def test_an_index_that_pip_was_told_of_counts_as_its_own(configuration: str, expected: bool) -> None:
    assert has_own_sources(configuration) is expected


def test_a_child_sees_nothing_that_is_qgiss_alone_nor_certificates_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificates = tmp_path / "company.pem"
    certificates.touch()
    foreign = {
        "PYTHONHOME": "/qgis",
        "PROJ_LIB": "/qgis/proj",
        "GDAL_DATA": "/qgis/gdal",
        "LD_LIBRARY_PATH": "/qgis/lib",
        "QT_PLUGIN_PATH": "/qgis/qt",
        "SSL_CERT_FILE": "/qgis/bin/curl-ca-bundle.crt",
        "CURL_CA_BUNDLE": "/qgis/bin/curl-ca-bundle.crt",
    }
    for name, value in {**foreign, "REQUESTS_CA_BUNDLE": str(certificates)}.items():
        monkeypatch.setenv(name, value)
    variables = child_environment()
    assert not set(foreign) & set(variables)
    assert variables["REQUESTS_CA_BUNDLE"] == str(certificates)
    assert variables["PATH"] == os.environ["PATH"]


def test_a_program_of_the_installation_is_polite_and_not_led_astray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_TARGET", "/somewhere")
    # A module that runs what it is told.
    statement = "import os, sys; print(os.nice(0), os.environ.get('PIP_TARGET'), repr(sys.stdin.read()))"
    lines = running.run_module(Path(sys.executable), ["timeit", "-n1", "-r1", statement], "It failed")
    assert lines[0] == f"{os.nice(0) + 10} None ''"


def test_on_windows_children_get_no_console_and_a_low_priority() -> None:
    # What Windows' subprocess has, on a system that has it not.
    script = (
        "import subprocess; subprocess.CREATE_NO_WINDOW = 0x08000000; subprocess.BELOW_NORMAL_PRIORITY_CLASS = 0x4000\n"
        "from headland.engine.child_process import CREATION_FLAGS; print(hex(CREATION_FLAGS))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "0x8004000"

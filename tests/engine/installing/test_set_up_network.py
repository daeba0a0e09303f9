"""How the engine's packages come: through a proxy with a password, past a company's certificate, as wheels."""

from __future__ import annotations

import base64
import re
import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from headland.engine.environment import EnvironmentProblem, engine_python, read_ready_file
from headland.engine.installing.building import Listener, set_up
from headland.engine.installing.locks import Lock
from headland.engine.installing.network import Network, Proxy
from headland.engine.installing.pip_install import Computer, Run, Sources, download
from headland.tests.support.installations import running_in
from headland.tests.support.wheelhouse import Wheelhouse, spoil_hash


class Index(BaseHTTPRequestHandler):
    """A package index that has the wheels of a folder."""

    wheels: Path

    def do_GET(self) -> None:
        wheel = self.wheels / self.path.rpartition("/")[2]
        if wheel.is_file():
            content, kind = wheel.read_bytes(), "application/octet-stream"
        else:
            links = "".join(f'<a href="/{each.name}">{each.name}</a>' for each in self.wheels.glob("*.whl"))
            content, kind = f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Be quiet."""


class IndexWithPassword(Index):
    """An index of PyTorch's builds that lets only anna in."""

    password = "geheim@/b:%ro"

    def do_GET(self) -> None:
        wanted = base64.b64encode(f"anna:{self.password}".encode()).decode()
        if self.headers.get("Authorization") == f"Basic {wanted}":
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="builds"')
        self.send_header("Content-Length", "0")
        self.end_headers()


class PasswordProxy(Index):
    """A proxy that serves an index itself, to whoever knows the password."""

    password = "geheim@/b:%ro"

    def do_CONNECT(self) -> None:
        self.send_response(407, "Proxy Authentication Required")
        self.end_headers()

    def do_GET(self) -> None:
        wanted = base64.b64encode(f"anna:{self.password}".encode()).decode()
        if self.headers.get("Proxy-Authorization") == f"Basic {wanted}":
            super().do_GET()
            return
        self.send_response(407)
        self.send_header("Proxy-Authenticate", 'Basic realm="office"')
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def serving(handler: type[Index], wheels: Path, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve on this machine, and yield the port."""
    handler.wheels = wheels
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    # Whoever hangs up during the handshake is what is tested.
    server.handle_error = lambda *_arguments: None  # type: ignore[method-assign]
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def command_lines_in(folder: Path) -> list[str]:
    """Return what any user of the computer can read of the programs that run in ``folder``."""
    entries = [Path(f"/proc/{pid}/cmdline") for pid in running_in(folder)]
    return [entry.read_bytes().decode(errors="replace") for entry in entries if entry.exists()]


@pytest.fixture
def proxy(wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Sources]]:
    """A proxy on this machine; called with a password, it returns the sources that use it."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.invalid/simple")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "index.invalid")
    with serving(PasswordProxy, wheelhouse.folder) as port:
        yield lambda password: Sources(Network(Proxy("127.0.0.1", port, "anna", password)))


def test_a_proxy_gets_its_password_and_no_log_does(
    engine: Path, wheelhouse: Wheelhouse, proxy: Callable[[str], Sources], unproved: None
) -> None:
    lines: list[str] = []
    commands: list[str] = []

    def look_around() -> bool:
        commands.extend(command_lines_in(engine.parent))
        return False

    set_up(
        wheelhouse.plan(engine, sources=proxy(PasswordProxy.password)), Listener(lines.append, is_cancelled=look_around)
    )
    assert engine_python().exists()
    assert commands
    for secret in ("geheim", "anna"):
        assert secret not in "\n".join([*lines, *commands, repr(read_ready_file(engine))])


def test_a_proxy_that_wants_another_password_is_told_at_once(
    engine: Path, wheelhouse: Wheelhouse, proxy: Callable[[str], Sources], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.invalid/simple")
    with pytest.raises(EnvironmentProblem, match="wants a user name and password") as caught:
        set_up(wheelhouse.plan(engine, sources=proxy("wrong-secret")))
    assert "wrong-secret" not in caught.value.details


def test_torch_comes_from_the_index_that_is_named_and_its_password_into_no_log_and_no_command_line(
    engine: Path, wheelhouse: Wheelhouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unproved: None
) -> None:
    lock, torchs = with_torch_apart(wheelhouse, tmp_path / "builds of torch")
    lines: list[str] = []
    commands: list[str] = []

    def look_around() -> bool:
        commands.extend(command_lines_in(engine.parent))
        return False

    with serving(Index, wheelhouse.folder) as usual, serving(IndexWithPassword, torchs) as of_torch:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{usual}/simple")
        address = f"http://anna:{quote(IndexWithPassword.password, safe='')}@127.0.0.1:{of_torch}/s3cret-path"
        plan = replace(wheelhouse.plan(engine, sources=Sources(torch_index=address)), lock=lock)
        state = set_up(plan, Listener(lines.append, is_cancelled=look_around))
    assert state["torch_index_given"] == "yes"
    assert any("pip" in command and "install" in command for command in commands)
    for secret in ("geheim", "anna", "s3cret-path"):
        assert secret not in "\n".join([*lines, *commands, repr(state), repr(plan)])


def test_a_build_of_torch_that_is_nowhere_is_told_with_what_to_look_at(
    engine: Path, wheelhouse: Wheelhouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, _torchs = with_torch_apart(wheelhouse, tmp_path / "builds of torch")
    with serving(Index, wheelhouse.folder) as usual:
        address = f"http://127.0.0.1:{usual}/simple"
        monkeypatch.setenv("PIP_INDEX_URL", address)
        plan = replace(wheelhouse.plan(engine, sources=Sources(torch_index=address)), lock=lock)
        with pytest.raises(EnvironmentProblem, match="the index of PyTorch’s builds"):
            set_up(plan)


def with_torch_apart(wheelhouse: Wheelhouse, folder: Path) -> tuple[Lock, Path]:
    """Take torch out of the wheels and their lock; return a lock that has it apart, and the folder of its wheel."""
    folder.mkdir()
    wheel = next(wheelhouse.folder.glob("torch-*.whl"))
    wheel.rename(folder / wheel.name)
    lock = replace(wheelhouse.lock, is_torch_apart=True)
    rest, torch = re.split(r"^(?=torch==)", lock.file.read_text(), flags=re.MULTILINE)
    lock.file.write_text(rest)
    assert lock.torch_file is not None
    lock.torch_file.write_text(torch)
    return lock, folder


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for this machine that is its own authority; return it and its key."""
    folder.mkdir()
    certificate, key = folder / "authority.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no certificate can be made without openssl")
def test_a_companys_own_authority_is_trusted_once_it_is_named_and_refused_at_once_before(
    tmp_path: Path, wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever named certificates to pip goes first; what QGIS's launchers set for curl does not.
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    others = tmp_path / "curl-ca-bundle.crt"
    others.write_text(make_certificate(tmp_path / "another")[0].read_text())
    monkeypatch.setenv("CURL_CA_BUNDLE", str(others))
    certificate, key = make_certificate(tmp_path / "company")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    folder = tmp_path / "downloaded"
    folder.mkdir()
    run = Run(lambda _line: None, lambda: False, folder, tmp_path / "cache of pip")
    computer = Computer(f"3.{sys.version_info[1]}", "x86_64")
    with serving(Index, wheelhouse.folder, tls) as port:
        monkeypatch.setenv("PIP_INDEX_URL", f"https://localhost:{port}/simple")
        began = time.monotonic()
        with pytest.raises(EnvironmentProblem, match="connection is not trusted"):
            download(Path(sys.executable), wheelhouse.lock, computer, folder, Sources(), run)
        # pip itself would try for more than a minute.
        assert time.monotonic() - began < 30
        trusting = Sources(Network(certificates=certificate))
        download(Path(sys.executable), wheelhouse.lock, computer, folder, trusting, run)
    assert len(list(folder.glob("*.whl"))) == 3


def test_a_wheelhouse_for_another_python_is_downloaded_with_its_hashes(
    tmp_path: Path, wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    # A variable of pip is a list, and a space its comma.
    monkeypatch.setenv("PIP_FIND_LINKS", wheelhouse.folder.as_uri())
    lock_file = wheelhouse.lock.file
    lock_file.write_text(lock_file.read_text().replace("numpy==1.0 ", 'numpy==1.0 ; python_version == "3.14" ', 1))
    folder, temporary = tmp_path / "to carry", tmp_path / "temporary"
    for each in (folder, temporary):
        each.mkdir()
    run = Run(lambda _line: None, lambda: False, temporary, temporary)
    for version, count in (("3.14", 3), ("3.12", 2)):
        download(Path(sys.executable), wheelhouse.lock, Computer(version, "x86_64"), folder, Sources(), run)
        assert len(list(folder.iterdir())) == count
        for wheel in folder.iterdir():
            wheel.unlink()
    spoil_hash(wheelhouse.lock)
    with pytest.raises(EnvironmentProblem, match="not the one that Headland was made with"):
        download(Path(sys.executable), wheelhouse.lock, Computer("3.12", "x86_64"), folder, Sources(), run)

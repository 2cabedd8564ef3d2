"""Real servers for tests: started on free ports of the loopback, stopped by their process id."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.waiting import HANG_S, patiently
from tools import nginx, s3

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, as the server logged them; `bytes` are those of the body."""

    method: str
    path: str
    query: str
    range: str
    status: int
    bytes: int


class ServerLog:
    """The log of a server, from the last `clear` on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin = 0
        path.touch()

    def clear(self) -> None:
        self._begin = self._path.stat().st_size

    def exchanges(self) -> list[Exchange]:
        with open(self._path) as file:
            file.seek(self._begin)
            return [Exchange(**json.loads(line)) for line in file]


@dataclass(frozen=True)
class Server:
    """A server that runs: its port on 127.0.0.1 and its log."""

    port: int
    log: ServerLog

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    (port,) = free_ports(1)
    return port


def own_loopback_address() -> str:
    """An address of the loopback that no other test, of this run or another, has.

    Not from `random`: tests seed that, and two runs of the suite side by side would share it.
    """
    return "127." + ".".join(str(secrets.randbelow(254) + 1) for _ in range(3))


def free_ports(number: int) -> list[int]:
    """Different ports of the loopback that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        listeners = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)
        ]
        return [int(listener.getsockname()[1]) for listener in listeners]


@contextlib.contextmanager
def stopped_at_end(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Ends `process`, this one and no other, when the block is left."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def wait_for_port(port: int, process: subprocess.Popen[str], address: str = "127.0.0.1") -> None:
    """Returns when somebody listens; fails if the process ends without that."""
    for _ in patiently():
        if process.poll() is not None:
            pytest.fail(f"{process.args!r}: ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection((address, port), HANG_S):
            return


@contextlib.contextmanager
def s3_server(folder: Path, bucket: str = "bucket") -> Iterator[Server]:
    """moto's S3 server with an empty bucket; `folder`, which must not exist, takes its log."""
    if importlib.util.find_spec("moto") is None:
        pytest.skip("needs moto: pip install 'moto[s3,server]'")
    folder.mkdir()
    log = folder / "s3.log"
    command = [sys.executable, "-m", "tests.s3_server", str(log)]
    with open(folder / "s3.err", "w") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    with stopped_at_end(process):
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            pytest.fail(f"moto did not start: {(folder / 's3.err').read_text()}")
        server = Server(int(line), ServerLog(log))
        request = urllib.request.Request(f"{server.url}/{bucket}", method="PUT")
        urllib.request.urlopen(request, timeout=HANG_S).close()
        server.log.clear()
        yield server


def s3_environment(endpoint: str) -> dict[str, str]:
    """The environment of a process that reads s3:// from `endpoint`."""
    return {**os.environ, **s3.client_environment(endpoint), "PYTHONPATH": str(ROOT)}


def skip_without_nginx() -> None:
    if nginx.find_program() is None:
        pytest.skip(nginx.REMEDY)


@contextlib.contextmanager
def web_server(folder: Path, root: Path) -> Iterator[Server]:
    """nginx that serves `root`; `folder`, which must not exist, takes its files."""
    skip_without_nginx()
    folder.mkdir()
    port = free_port()
    command = nginx.write_configuration(folder, f"127.0.0.1:{port}", f"root {root};")
    (folder / "access.log").touch()
    with stopped_at_end(subprocess.Popen(command, text=True)) as process:
        wait_for_port(port, process)
        yield Server(port, ServerLog(folder / "access.log"))


_GCS_HOSTS = ("storage.googleapis.com", "www.googleapis.com")


@dataclass(frozen=True)
class GcsServer(Server):
    """An emulator of Cloud Storage behind TLS, reached by its true names from one process tree."""

    folder: Path

    def command(self, arguments: Sequence[str]) -> list[str]:
        """`arguments` in a mount namespace of their own, whose hosts file leads to this server."""
        script = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
        namespace = ["unshare", "--mount", "sh", "-c", script, "sh"]
        return [*namespace, str(self.folder / "hosts"), *arguments]

    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("GCS_")},
            "CURL_CA_BUNDLE": str(self.folder / "certificate.pem"),
            "GOOGLE_AUTH_TOKEN_FOR_TESTING": "tests",
            "PYTHONPATH": str(ROOT),
        }


@contextlib.contextmanager
def gcs_server(
    folder: Path, files: Mapping[str, Path], bucket: str = "bucket"
) -> Iterator[GcsServer]:
    """An emulator that holds `files` by object name; `folder`, which must not exist, takes its own.

    TensorFlow's client has no setting for another endpoint, so its two host names are led to a
    server of ours by a hosts file that only the reader sees, and a certificate of one day.
    """
    if importlib.util.find_spec("gcp_storage_emulator") is None:
        pytest.skip("needs gcp-storage-emulator: pip install gcp-storage-emulator")
    skip_without_nginx()
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl: apt-get install openssl")
    address = own_loopback_address()  # Port 443 cannot be chosen; there it is free.
    folder.mkdir()
    server = GcsServer(443, ServerLog(folder / "access.log"), folder)
    hosts = "".join(f"{address} {name}\n" for name in _GCS_HOSTS)
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
    probe = subprocess.run(server.command(["true"]), capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"needs root and leave to make a mount namespace: {probe.stderr.strip()}")
    _make_certificate(folder)
    emulator_port = free_port()
    emulator = ["gcp_storage_emulator", "start", "--in-memory", f"--port={emulator_port}"]
    emulator += ["--host=127.0.0.1", f"--default-bucket={bucket}"]
    front = nginx.write_configuration(
        folder,
        f"{address}:443 ssl",
        f"ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem; "
        f"location / {{ proxy_pass http://127.0.0.1:{emulator_port}; }}",
    )
    with contextlib.ExitStack() as stack:
        errors = stack.enter_context(open(folder / "emulator.err", "w"))

        def run(command: list[str]) -> subprocess.Popen[str]:
            process = subprocess.Popen(command, stdout=errors, stderr=errors, text=True)
            return stack.enter_context(stopped_at_end(process))

        wait_for_port(emulator_port, run([sys.executable, "-m", *emulator]))
        wait_for_port(443, run(front), address)
        for name, path in files.items():
            url = f"http://127.0.0.1:{emulator_port}/upload/storage/v1/b/{bucket}/o"
            url += "?" + urllib.parse.urlencode({"uploadType": "media", "name": name})
            headers = {"Content-Type": "application/octet-stream"}
            request = urllib.request.Request(url, path.read_bytes(), headers, method="POST")
            urllib.request.urlopen(request, timeout=HANG_S).close()
        server.log.clear()
        yield server


def _make_certificate(folder: Path) -> None:
    names = ",".join(f"DNS:{name}" for name in _GCS_HOSTS)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    command += ["-subj", f"/CN={_GCS_HOSTS[0]}", "-addext", f"subjectAltName={names}"]
    subprocess.run(command, check=True, capture_output=True)

"""Real servers for tests: started on free ports of the loopback, stopped by their process id."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 60


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
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


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


def wait_for_port(port: int, process: subprocess.Popen[str]) -> None:
    """Returns when somebody listens; fails if the process ends, or after START_TIMEOUT_S."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"{process.args!r}: ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    pytest.fail(f"{process.args!r}: does not listen after {START_TIMEOUT_S} s")


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
        urllib.request.urlopen(request, timeout=START_TIMEOUT_S).close()
        server.log.clear()
        yield server


def s3_environment(endpoint: str) -> dict[str, str]:
    """The environment of a process that reads s3:// from `endpoint`."""
    return {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "S3_ENDPOINT": endpoint,
        "S3_USE_HTTPS": "0",
        "S3_VERIFY_SSL": "0",
        "PYTHONPATH": str(ROOT),
    }


_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  log_format exchange escape=json '{{"method":"$request_method","path":"$uri","query":"$args",'
    '"range":"$http_range","status":$status,"bytes":$body_bytes_sent}}';
  access_log {folder}/access.log exchange;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {http}
  server {{
    listen {listen};
    {server}
  }}
}}
"""


def nginx_or_skip() -> str:
    """The nginx program, or skips the test."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("needs nginx: apt-get install nginx-light")
    return program


def write_nginx_configuration(folder: Path, listen: str, server: str, http: str = "") -> list[str]:
    """Writes nginx.conf into `folder`; returns the command that runs it in the foreground."""
    program = nginx_or_skip()
    configuration = folder / "nginx.conf"
    configuration.write_text(_NGINX.format(folder=folder, listen=listen, server=server, http=http))
    return [program, "-p", str(folder), "-c", str(configuration), "-e", str(folder / "error.log")]


@contextlib.contextmanager
def web_server(folder: Path, root: Path) -> Iterator[Server]:
    """nginx that serves `root`; `folder`, which must not exist, takes its files."""
    folder.mkdir()
    port = free_port()
    command = write_nginx_configuration(folder, f"127.0.0.1:{port}", f"root {root};")
    (folder / "access.log").touch()
    # Not as root's unprivileged worker: pytest's folders are closed to others.
    with stopped_at_end(subprocess.Popen(command, text=True)) as process:
        wait_for_port(port, process)
        yield Server(port, ServerLog(folder / "access.log"))

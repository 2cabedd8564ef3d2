"""A link of known bandwidth and latency: two network namespaces, a veth pair, and tc.

Answers go from server to client through a token bucket (tc tbf). Requests and acknowledgements go
the other way through benchmarks/delay.cc, which holds each packet for the whole round trip's time:
not every kernel has netem, and so neither queue holds back the other.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from tools import nginx

SERVER_ADDRESS = "10.213.77.1"
_CLIENT_ADDRESS = "10.213.77.2"
_PORT = 8080


class LinkUnavailableError(RuntimeError):
    """This machine or user cannot make one; the message says what is missing."""


@dataclass(frozen=True)
class Link:
    """The names of two network namespaces that a link joins."""

    server: str
    client: str

    @property
    def url(self) -> str:
        """Of the server that `serve` runs."""
        return f"http://{SERVER_ADDRESS}:{_PORT}"

    def set_bandwidth(self, mbit_per_s: int) -> None:
        """From server to client."""
        bucket_bytes = max(64 << 10, mbit_per_s * 125_000 // 100)
        rate = f"rate {mbit_per_s}mbit burst {bucket_bytes} latency 50ms"
        _ip(f"netns exec {self.server} tc qdisc replace dev veth0 root tbf {rate}")

    @contextlib.contextmanager
    def delayed(self, delay_ms: int, program: pathlib.Path) -> Iterator[None]:
        """Makes a round trip take that much longer; `program` is what `compile_delay` made."""
        if delay_ms == 0:
            yield
            return
        command = [str(program), self.client, self.server, str(delay_ms)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise LinkUnavailableError(f"{program}: ended with status {process.wait()}")
            for name in (self.server, self.client):
                _ip(f"-n {name} link set delay0 txqueuelen 10000 up")
            # What comes in by one device is answered by the other.
            for name in ("all", "delay0"):
                filter_path = f"/proc/sys/net/ipv4/conf/{name}/rp_filter"
                _ip(f"netns exec {self.server} cp /dev/stdin {filter_path}", standard_input="0")
            _ip(f"-n {self.client} route add {SERVER_ADDRESS}/32 dev delay0 src {_CLIENT_ADDRESS}")
            yield
        finally:
            _stop(process)  # Its devices go with it, and the route with them.

    def in_client(self, command: Sequence[str]) -> list[str]:
        """`command`, run on the client's side."""
        return ["ip", "netns", "exec", self.client, *command]

    @contextlib.contextmanager
    def running_in_client(self, command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
        """`command` on the client's side, its output in a pipe; at the end it is waited for, after
        an error stopped."""
        with subprocess.Popen(
            self.in_client(command), stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            except BaseException:
                _stop(process)
                raise

    @contextlib.contextmanager
    def serve(self, root: pathlib.Path, folder: pathlib.Path) -> Iterator[None]:
        """nginx on the server's side with the files of `root`; `folder` takes its own."""
        folder.mkdir(parents=True, exist_ok=True)
        listen = f"{SERVER_ADDRESS}:{_PORT}"
        command = nginx.write_configuration(folder, listen, f"root {root}; access_log off;")
        process = subprocess.Popen(["ip", "netns", "exec", self.server, *command])
        try:
            while not _listens(process.pid):
                if process.poll() is not None:
                    # Of a mistake in its configuration it tells standard error alone.
                    log = folder / "error.log"
                    said = log.read_text() if log.exists() else "its message stands above"
                    raise LinkUnavailableError(f"nginx ended: {said}")
                time.sleep(0.01)
            yield
        finally:
            _stop(process)


def _listens(pid: int) -> bool:
    """Whether somebody listens at the server's port, as that process sees the network."""
    with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/net/tcp") as table:
        # After the ordinal: local address, remote address, state; 0A is LISTEN.
        sockets = [line.split()[1:4] for line in table]
        return any(local.endswith(f":{_PORT:04X}") and state == "0A" for local, _, state in sockets)
    return False


def _stop(process: subprocess.Popen[Any]) -> None:
    """Ends a process, by force where it does not within ten seconds."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def compile_delay(folder: pathlib.Path) -> pathlib.Path:
    """Compiles delay.cc into `folder`."""
    program = folder / "delay"
    source = pathlib.Path(__file__).with_name("delay.cc")
    subprocess.run(["g++", "-std=c++17", "-O2", "-o", str(program), str(source)], check=True)
    return program


@contextlib.contextmanager
def make_link() -> Iterator[Link]:
    """Makes the namespaces and removes them and what runs in them, and nothing else, at the end.

    The end is also that of a program that is told to stop (SIGTERM, SIGHUP): it then leaves with
    SystemExit, and nothing stays behind.

    Raises:
        LinkUnavailableError: not root, or ip, tc or nginx is missing or refuses.
    """
    if os.geteuid() != 0:
        raise LinkUnavailableError("network namespaces need root")
    for program, package in (("ip", "iproute2"), ("tc", "iproute2")):
        if shutil.which(program) is None:
            raise LinkUnavailableError(f"needs {program}: apt-get install {package}")
    if nginx.find_program() is None:
        raise LinkUnavailableError(nginx.REMEDY)
    link = Link(f"pcr-server-{os.getpid()}", f"pcr-client-{os.getpid()}")
    with _stop_signals_raised(), contextlib.ExitStack() as stack:
        for name in (link.server, link.client):
            stack.callback(_remove_namespace, name)
            _ip(f"netns add {name}")
            _ip(f"-n {name} link set lo up")
        _ip(f"link add veth0 netns {link.server} type veth peer name veth0 netns {link.client}")
        for name, address in ((link.server, SERVER_ADDRESS), (link.client, _CLIENT_ADDRESS)):
            _ip(f"-n {name} address add {address}/24 dev veth0")
            _ip(f"-n {name} link set veth0 up")
        yield link


@contextlib.contextmanager
def _stop_signals_raised() -> Iterator[None]:
    """Turns the first signal to stop into SystemExit, and ignores those that come after it.

    Left as they are: signals that somebody else handles or ignores (nohup).
    """

    def leave(number: int, frame: FrameType | None) -> None:
        for taken in signals:
            signal.signal(taken, signal.SIG_IGN)
        raise SystemExit(128 + number)

    signals = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) == signal.SIG_DFL
    ]
    for number in signals:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in signals:
            signal.signal(number, signal.SIG_DFL)


def _remove_namespace(name: str) -> None:
    """Also one that was made half. A process that stayed in it would keep it alive, nameless."""
    if not pathlib.Path("/run/netns", name).exists():
        return
    pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
    for pid in map(int, pids.stdout.split()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _ip(f"netns delete {name}")


def _ip(arguments: str, standard_input: str | None = None) -> None:
    done = subprocess.run(
        ["ip", *arguments.split()], input=standard_input, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise LinkUnavailableError(f"ip {arguments}: {done.stderr.strip()}")

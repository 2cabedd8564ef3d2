"""A proxy before an HTTP server that does to answers what networks and stores do, by a rule."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.waiting import HANG_S

PASS = "pass"  # the answer as it is
DROP = "drop"  # the connection is closed in place of an answer
RESET = "reset"  # a TCP reset in the middle of the body
TRUNCATE = "truncate"  # the body ends early, and the connection with it
SHORTEN = "shorten"  # the body ends early, and the header agrees with it
CORRUPT = "corrupt"  # one bit of the body is flipped
UNAVAILABLE = "unavailable"  # 503
STALL = "stall"  # nothing more comes after the middle of the body


@dataclass(frozen=True)
class Request:
    """What is asked for, and how often the same was asked for before."""

    method: str
    path: str
    range: str
    earlier: int


@dataclass(frozen=True)
class Answer:
    """What was done about a request, and when by `time.monotonic()`: `received_s` is after the
    client had sent it, `answered_s` is before the client could see any of the answer."""

    request: Request
    fault: str
    received_s: float
    answered_s: float


@dataclass
class FaultProxy:
    """The port it listens on, and what it did, in the order of the answers."""

    port: int
    log: list[Answer] = field(default_factory=list)

    @property
    def faults(self) -> Counter[str]:
        return Counter(answer.fault for answer in self.log)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def fault_proxy(upstream_port: int, rule: Callable[[Request], str]) -> Iterator[FaultProxy]:
    """Runs a proxy before 127.0.0.1:`upstream_port`; `rule` names the fault of each request.

    Every connection serves one request.
    """
    asked: Counter[tuple[str, str, str]] = Counter()
    lock = threading.Lock()
    stopping = threading.Event()

    def serve(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            client.settimeout(HANG_S)
            head = _read_head(client)
            received_s = time.monotonic()
            method, path = head.split(b" ", 2)[:2]
            key = (method.decode(), path.decode(), _header(head, b"range"))
            with lock:
                request = Request(*key, earlier=asked[key])
                asked[key] += 1
                fault = rule(request)
            if fault == DROP:
                answer = b"", b""
            elif fault == UNAVAILABLE:
                answer = b"HTTP/1.1 503 Slow Down", b""
            else:
                answer = _exchange(upstream_port, head)
            proxy.log.append(Answer(request, fault, received_s, time.monotonic()))
            if fault != DROP:
                _answer(client, *answer, fault, stopping)

    def accept() -> None:
        while not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        listener.settimeout(0.1)
        proxy = FaultProxy(listener.getsockname()[1])
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            stopping.set()
            thread.join()


def _read_head(client: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        part = client.recv(65536)
        if not part:
            raise ConnectionError("no request")
        head += part
    return head


def _header(head: bytes, name: bytes) -> str:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().decode()
    return ""


def _exchange(port: int, head: bytes) -> tuple[bytes, bytes]:
    """Head and body of the server's answer to a request without a body."""
    request = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    request.insert(1, b"Connection: close")
    with socket.create_connection(("127.0.0.1", port), HANG_S) as server:
        server.sendall(b"\r\n".join(request))
        answer = b""
        while part := server.recv(1 << 20):
            answer += part
    answer_head, _, body = answer.partition(b"\r\n\r\n")
    return answer_head, body


def _answer(
    client: socket.socket, head: bytes, body: bytes, fault: str, stopping: threading.Event
) -> None:
    sent_bytes = len(body)
    if fault in (RESET, TRUNCATE, SHORTEN, STALL):
        sent_bytes //= 2
    if fault == CORRUPT and body:
        middle = len(body) // 2
        body = body[:middle] + bytes([body[middle] ^ 0x10]) + body[middle + 1 :]
    lines = [
        line
        for line in head.split(b"\r\n")
        if line.partition(b":")[0].lower() not in (b"connection", b"content-length", b"etag")
    ]
    length = sent_bytes if fault == SHORTEN else len(body)
    lines += [b"Connection: close", b"Content-Length: %d" % length]
    client.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body[:sent_bytes])
    if fault == RESET:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if fault == STALL:
        stopping.wait()

"""An S3 server for tests, in a process of its own: moto, with a log of what went over the wire.

Prints its port once it listens. The log holds one JSON object a line: method, path, query, range,
status, and the bytes of the body that were sent.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server


class LoggedApplication:
    """A WSGI application that notes every exchange of another one."""

    def __init__(self, application: Callable[..., Iterable[bytes]], log_path: str) -> None:
        self._application = application
        self._log = open(log_path, "a", buffering=1)  # noqa: SIM115
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        exchange = {
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "query": environ["QUERY_STRING"],
            "range": environ.get("HTTP_RANGE", ""),
            "status": 0,
            "bytes": 0,
        }

        def note_status(status: str, headers: Any, exc_info: Any = None) -> Any:
            exchange["status"] = int(status.split()[0])
            return start_response(status, headers, exc_info)

        body = self._application(environ, note_status)
        try:
            parts = [bytes(part) for part in body]
        finally:
            if hasattr(body, "close"):
                body.close()
        if environ["REQUEST_METHOD"] != "HEAD":
            exchange["bytes"] = sum(map(len, parts))
        with self._lock:  # Before the bytes leave: a client that has them finds the line.
            self._log.write(json.dumps(exchange) + "\n")
        return iter(parts)


class QuietHandler(MotoRequestHandler):
    """Says nothing: the log does."""

    def log_request(self, *args: Any) -> None:
        pass


def main() -> None:
    application = LoggedApplication(DomainDispatcherApplication(create_backend_app), sys.argv[1])
    host, port = (sys.argv[2], int(sys.argv[3])) if len(sys.argv) > 3 else ("127.0.0.1", 0)
    server = make_server(host, port, application, threaded=True, request_handler=QuietHandler)
    # A test that was killed cannot stop its server: it stops when its parent is gone.
    parent = os.getppid()

    def stop_with_parent() -> None:
        while os.getppid() == parent:
            threading.Event().wait(0.5)
        os._exit(0)

    threading.Thread(target=stop_with_parent, daemon=True).start()
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

"""nginx in the foreground with a log of exchanges, for tests and benchmarks of object stores."""

from __future__ import annotations

import shutil
from pathlib import Path

REMEDY = "needs nginx: apt-get install nginx-light"

# The log holds one JSON object a line, with the fields of tests/servers.py's Exchange.
_CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  log_format exchange escape=json '{{"method":"$request_method","path":"$uri","query":"$args",'
    '"range":"$http_range","status":$status,"bytes":$body_bytes_sent}}';
  access_log {folder}/access.log exchange;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  server {{
    listen {listen};
    {server}
  }}
}}
"""


def find_program() -> str | None:
    """The nginx program, also where the folders of administrators are not on the path."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def write_configuration(folder: Path, listen: str, server: str) -> list[str]:
    """Writes nginx.conf into `folder`; returns the command that runs it in the foreground.

    Args:
        folder: takes the configuration, access.log, error.log and nginx's own files.
        listen: address and port, as nginx writes them.
        server: directives of the server block.
    """
    program = find_program()
    if program is None:
        raise FileNotFoundError(REMEDY)
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, listen=listen, server=server))
    return [program, "-p", str(folder), "-c", str(configuration)]

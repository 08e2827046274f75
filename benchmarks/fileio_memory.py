"""Measure the memory of copying a large file, up and down, on each backend that streams.

Each copy runs in a fresh process, which first copies a small file, so that libraries are loaded.
The baseline of the same run is reading the whole file at once.

    python benchmarks/fileio_memory.py [--megabytes 200]
"""

import argparse
import functools
import multiprocessing
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3

from engine_fileio import get_file_backend

BUDGET = 64  # MB
SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
sys.stdin.read()
"""


class QuietHandler(SimpleHTTPRequestHandler):
    """Serve files without logging each request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def http_server(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """Run moto in a process of its own, with one bucket."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    if process.stdout is None:
        raise RuntimeError("the server has no output")
    options: dict[str, Any] = {
        "endpoint_url": process.stdout.readline().strip(),
        "region_name": "us-east-1",
        "aws_access_key_id": "x",
        "aws_secret_access_key": "x",
    }
    boto3.session.Session().client("s3", **options).create_bucket(Bucket="bench")
    try:
        yield options
    finally:
        process.kill()
        process.communicate()


def peak() -> int:
    """Return the largest resident memory so far, in MB.

    ``getrusage`` does not serve: a new process inherits the figure of the process that started it.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def read_at_once(folder: Path, name: str) -> None:
    """Read the whole file at once, as the baseline."""
    (folder / "copy").write_bytes((folder / name).read_bytes())


def through(arguments: dict[str, Any], remote: str, folder: Path, name: str) -> None:
    """Copy up, unless the server is read-only, and down."""
    backend = get_file_backend(backend_args=arguments)
    if arguments["backend"] != "http":
        backend.copyfile_from_local(folder / name, f"{remote}/{name}")
    backend.copyfile_to_local(f"{remote}/{name}", folder / "copy")


def growth(copy: Callable[[str], None]) -> int:
    """Return the MB by which copying the large file grows this process."""
    copy("small")
    before = peak()
    copy("large")
    return peak() - before


def main() -> None:
    """Print one line per backend."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    size = parser.parse_args().megabytes * 1_000_000
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name, http_server(Path(name)) as http, s3_server() as s3:
        folder = Path(name)
        (folder / "small").write_bytes(bytes(1_000_000))
        (folder / "large").write_bytes(bytes(size))
        remotes = {
            "local": ({"backend": "local"}, str(folder / "remote")),
            "fsspec": ({"backend": "fsspec", "protocol": "file"}, str(folder / "bridge")),
            "http": ({"backend": "http"}, http),
            "s3": ({"backend": "s3", **s3}, "s3://bench"),
        }
        with spawn.Pool(1, maxtasksperchild=1) as pool:
            whole = pool.apply(growth, (functools.partial(read_at_once, folder),))
            print(f"{'at once':>8}: {whole} MB for a file of {size // 1_000_000} MB")
            for label, (arguments, remote) in remotes.items():
                copy = functools.partial(through, arguments, remote, folder)
                grown = pool.apply(growth, (copy,))
                verdict = "ok" if grown < BUDGET else "OVER BUDGET"
                print(f"{label:>8}: {grown} MB (budget {BUDGET}) {verdict}", flush=True)


if __name__ == "__main__":
    main()

"""Measure folders of objects up and down: engine-fileio against boto3's own transfer manager.

Both use the same moto server, in a process of its own, and the same number of threads, alternately.
Prints the ratio of speeds for each task; the budget is 0.9.

    python benchmarks/fileio_s3_trees.py [--objects 2000] [--size 10000] [--rounds 2]
"""

import argparse
import functools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager

from engine_fileio import S3Backend

THREADS = 16
BUDGET = 0.9
BUCKET = "bench"
SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
sys.stdin.read()
"""


@contextmanager
def s3_server() -> Iterator[str]:
    """Run moto in a process of its own and yield its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    if process.stdout is None:
        raise RuntimeError("the server has no output")
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


class TransferManager:
    """Use one s3transfer manager for a whole tree, as ``aws s3 cp`` does: the baseline."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.config = TransferConfig(max_concurrency=THREADS)

    def upload(self, folder: Path, prefix: str) -> None:
        """Upload a folder."""
        with create_transfer_manager(self.client, self.config) as manager:
            for path in folder.rglob("*"):
                if path.is_file():
                    key = f"{prefix}/{path.relative_to(folder).as_posix()}"
                    manager.upload(str(path), BUCKET, key)

    def download(self, prefix: str, folder: Path) -> None:
        """Download all objects under a prefix."""
        with create_transfer_manager(self.client, self.config) as manager:
            for key in self.keys(prefix):
                path = folder / key.removeprefix(f"{prefix}/")
                path.parent.mkdir(parents=True, exist_ok=True)
                manager.download(BUCKET, key, str(path))

    def copy(self, source: str, target: str) -> None:
        """Copy all objects under a prefix."""
        with create_transfer_manager(self.client, self.config) as manager:
            for key in self.keys(source):
                origin = {"Bucket": BUCKET, "Key": key}
                manager.copy(origin, BUCKET, target + key.removeprefix(source))

    def keys(self, prefix: str) -> list[str]:
        """List all keys under a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix=f"{prefix}/"
        )
        return [found["Key"] for page in pages for found in page.get("Contents", ())]


def seconds(action: Callable[[], object]) -> float:
    """Return the time of one call."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def measure(rounds: int, theirs: Callable[[int], object], ours: Callable[[int], object]) -> float:
    """Return our speed divided by theirs, as the median over rounds of pairs."""
    ratios = []
    for number in range(rounds):
        pair = [(theirs, "boto3"), (ours, "engine-fileio")]
        taken = {}
        for action, name in pair if number % 2 else reversed(pair):
            taken[name] = seconds(functools.partial(action, number))
        ratios.append(taken["boto3"] / taken["engine-fileio"])
    return statistics.median(ratios)


def make_tree(folder: Path, objects: int, size: int) -> None:
    """Write ``objects`` files of ``size`` bytes into ten folders."""
    for number in range(objects):
        path = folder / f"part{number % 10}" / f"{number:06}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(4, "big") * (size // 4))


def run(address: str, arguments: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Measure each task and return its ratio."""
    options: dict[str, Any] = {
        "endpoint_url": address,
        "region_name": "us-east-1",
        "aws_access_key_id": "x",
        "aws_secret_access_key": "x",
    }
    client = boto3.session.Session().client("s3", **options)
    client.create_bucket(Bucket=BUCKET)
    baseline = TransferManager(client)
    backend = S3Backend(workers=THREADS, **options)
    make_tree(folder / "tree", arguments.objects, arguments.size)
    baseline.upload(folder / "tree", "seed")
    root = f"s3://{BUCKET}"

    def list_ours(_: int) -> None:
        list(backend.list_dir_or_file(f"{root}/seed", list_dir=False, recursive=True))

    return {
        "upload": measure(
            arguments.rounds,
            lambda n: baseline.upload(folder / "tree", f"theirs{n}"),
            lambda n: backend.copytree_from_local(folder / "tree", f"{root}/ours{n}"),
        ),
        "download": measure(
            arguments.rounds,
            lambda n: baseline.download("seed", folder / f"theirs{n}"),
            lambda n: backend.copytree_to_local(f"{root}/seed", folder / f"ours{n}"),
        ),
        "copy": measure(
            arguments.rounds,
            lambda n: baseline.copy("seed", f"their-copy{n}"),
            lambda n: backend.copytree(f"{root}/seed", f"{root}/our-copy{n}"),
        ),
        "list": measure(arguments.rounds, lambda _: baseline.keys("seed"), list_ours),
    }


def main() -> None:
    """Print one line per task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=2000)
    parser.add_argument("--size", type=int, default=10_000, help="bytes of an object")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    with s3_server() as address, tempfile.TemporaryDirectory() as folder:
        ratios = run(address, arguments, Path(folder))
    print(f"{arguments.objects} objects of {arguments.size} bytes, {THREADS} threads")
    for task, ratio in ratios.items():
        verdict = "ok" if ratio >= BUDGET else "BELOW BUDGET"
        print(f"{task:>9}: {ratio:.2f} times the speed of boto3's (budget {BUDGET}) {verdict}")


if __name__ == "__main__":
    main()

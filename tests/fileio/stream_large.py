"""Copy 100 MB up and down and print the memory it took. Not a test module.

Arguments: the backend's name, its arguments as JSON, the remote path (existing, for HTTP), and
a folder for local files. Prints the growth of the resident memory in MB and whether the copies
are equal.
"""

import json
import sys
from pathlib import Path

from engine_fileio import BaseStorageBackend, get_file_backend

SIZE = 100_000_000
BLOCK = bytes(range(251)) * 4000


def peak() -> int:
    """Return the largest resident memory of this process so far, in bytes.

    Not from ``getrusage``, whose figure a new process takes over from the one that started it.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def write_source(path: Path) -> None:
    """Write a file of ``SIZE`` bytes that differ."""
    with open(path, "wb") as file:
        while file.tell() < SIZE:
            file.write(BLOCK[: SIZE - file.tell()])


def is_equal(path: Path) -> bool:
    """Return whether ``path`` holds what ``write_source`` wrote."""
    with open(path, "rb") as file:
        while block := file.read(len(BLOCK)):
            if block != BLOCK[: len(block)]:
                return False
        return file.tell() == SIZE


def transfer(backend: BaseStorageBackend, remote: str, folder: Path, *, upload: bool) -> None:
    """Upload and download the file."""
    if upload:
        backend.copyfile_from_local(folder / "source", remote)
    backend.copyfile_to_local(remote, folder / "copy")


if __name__ == "__main__":
    name, arguments, remote = sys.argv[1:4]
    folder = Path(sys.argv[4])
    backend = get_file_backend(backend_args={"backend": name, **json.loads(arguments)})
    if name != "http":
        # a small copy first, to exclude the memory of imported libraries
        (folder / "source").write_bytes(BLOCK)
        transfer(backend, f"{remote}-small", folder, upload=True)
    else:
        backend.exists(remote)
    write_source(folder / "source")
    before = peak()
    transfer(backend, remote, folder, upload=name != "http")
    print((peak() - before) // 1_000_000, is_equal(folder / "copy"))

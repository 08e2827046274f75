"""Use one backend in a parent and its forked children at once. Not a test module.

Arguments: the backend's name, its arguments as JSON, and the root of its paths. Prints ``ok``.
"""

import json
import os
import sys
import threading

from engine_fileio import get_file_backend


def read_all(backend: object, root: str, seed: int) -> bool:
    """Read 40 files in an order that depends on ``seed``, and check their content."""
    names = [(number * seed) % 40 for number in range(40)]
    return all(
        backend.get(f"{root}/{name}") == str(name).encode() * 1000  # type: ignore[attr-defined]  # any backend
        for name in names
    )


def main() -> int:
    """Return the number of processes that read wrong content."""
    name, arguments, root = sys.argv[1:]
    backend = get_file_backend(backend_args={"backend": name, **json.loads(arguments)})
    if not read_all(backend, root, 1):
        return 1
    # a thread keeps a connection busy while the process forks
    busy = threading.Thread(target=read_all, args=(backend, root, 7))
    busy.start()
    children = []
    for seed in (3, 9, 11):
        child = os.fork()
        if child == 0:
            os._exit(0 if read_all(backend, root, seed) else 1)
        children.append(child)
    wrong = 0 if read_all(backend, root, 13) else 1
    busy.join()
    return wrong + sum(os.waitpid(child, 0)[1] != 0 for child in children)


if __name__ == "__main__":
    failures = main()
    print("ok" if failures == 0 else f"{failures} processes failed")

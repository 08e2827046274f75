"""Rewrite one file until killed; each content is 300,000 equal bytes. Not a test module."""

import itertools
import sys

from engine_fileio import atomic_write

if __name__ == "__main__":
    print("writing", flush=True)
    for number in itertools.count(1):
        with atomic_write(sys.argv[1]) as file:
            for _ in range(30):
                file.write(bytes([number % 251]) * 10_000)

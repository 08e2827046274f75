"""Remove the end of a file that a killed run has written after its last checkpoint."""

import os
import shutil
from pathlib import Path


def move_end(file: Path, size: int, target: Path) -> None:
    """Move what a file has beyond a size to the end of another file.

    A file that is missing or no longer than that stays as it is.

    Args:
        file: The file.
        size: The bytes that stay.
        target: The other file, which is created if there is something to move.
    """
    if not file.is_file() or file.stat().st_size <= size:
        return
    with file.open("r+b") as source:
        source.seek(size)
        with target.open("ab") as copy:
            shutil.copyfileobj(source, copy)
            copy.flush()
            os.fsync(copy.fileno())  # before the only other copy goes
        source.truncate(size)

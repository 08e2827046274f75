"""The parts of the path or URI of a checkpoint."""

import re
from pathlib import Path


def file_name(path: str) -> str:
    """Return the last part of a path or URI, whichever separator it has.

    Example:
        >>> file_name("s3://bucket/run/epoch_3.pth")
        'epoch_3.pth'
    """
    return re.split(r"[/\\]", path)[-1]


def parent_folder(path: str) -> str:
    """Return the folder of a file.

    Example:
        >>> parent_folder("s3://bucket/run/epoch_3.pth"), parent_folder("epoch_3.pth")
        ('s3://bucket/run', '.')
    """
    return path.rpartition("/")[0] if "://" in path else str(Path(path).parent)

"""Read the offline files of W&B. Not a test module."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def wandb_records(file: Path) -> Iterator[Any]:
    """Read a file of W&B: a log of LevelDB, after a header of 7 bytes.

    A block has 32 KiB. A part of a record has a header of 7 bytes: its check sum, its length in 2
    bytes, and whether it is whole (1), the first part (2), one between (3) or the last (4).
    """
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]  # generated

    data, place, parts = file.read_bytes(), 7, b""
    while place + 7 < len(data):
        if (room := 32768 - place % 32768) < 7:
            place += room
        size, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        parts += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):
            yield Record.FromString(parts)
            parts = b""


def wandb_rows(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of the run as ``wandb sync`` joins its folders: by the steps of wandb."""
    rows: dict[int, dict[str, Any]] = {}
    for file in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        for record in wandb_records(file):
            if record.HasField("history"):
                items = record.history.item
                row = {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}
                rows[row["_step"]] = row
    return [rows[step] for step in sorted(rows)]

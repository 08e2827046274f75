"""Choose the sample predictions of a run, and encode them for a page."""

import base64
import io
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

_NAMED = re.compile(r"(.*)_(\d+)")
_PER_NAME, _MOST = 4, 12
_LARGEST = 400_000  # bytes that are embedded unchanged
_SIDE = 800
_MIME = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of a run, as a ``data:`` address.

    Example:
        >>> Picture(name="misread", step=3, address="data:,", width=8, height=8).step
        3
    """

    name: str
    step: int
    address: str
    width: int
    height: int


def read_pictures(folder: Path) -> tuple[list[Picture], int]:
    """Return the latest pictures of each name, and the number of those that are left out.

    A picture that cannot be read is left out. Large ones are reduced.

    Args:
        folder: ``vis_data/vis_image``.
    """
    by_name: dict[str, list[tuple[int, Path]]] = defaultdict(list)
    files = [p for p in folder.rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp")]
    for path in sorted(files):
        name = path.relative_to(folder).with_suffix("").as_posix()
        found = _NAMED.fullmatch(name)
        by_name[found[1] if found else name].append((int(found[2]) if found else 0, path))
    # The latest of every name comes before a second one of any.
    ranked = [
        (place, name, step, path)
        for name, items in by_name.items()
        for place, (step, path) in enumerate(sorted(items, reverse=True)[:_PER_NAME])
    ]
    chosen = sorted(ranked)[:_MOST]
    read = [_read(name, step, path) for _, name, step, path in chosen]
    pictures = sorted((p for p in read if p), key=lambda p: (p.name, -p.step))
    return pictures, len(files) - len(pictures)


def _read(name: str, step: int, path: Path) -> Picture | None:
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            kind, (width, height) = _MIME.get(image.format or ""), image.size
            if kind is None or len(data) > _LARGEST:
                image.thumbnail((_SIDE, _SIDE))
                buffer = io.BytesIO()
                image.convert("RGB").save(buffer, "JPEG", quality=85)
                kind, data = "image/jpeg", buffer.getvalue()
            else:
                image.verify()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    address = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return Picture(name=name, step=step, address=address, width=width, height=height)

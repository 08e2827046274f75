"""List the checkpoints of a work directory, from the manifests beside them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

_ENDINGS = (".pth", ".dcp", ".safetensors")
_INSIDE = "manifest.json"  # the manifest of a folder of shards


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint on disk.

    Example:
        >>> facts = {"position": "epoch 1", "saved": "2026/01/31 12:00:00", "is_resumable": True}
        >>> Checkpoint(name="epoch_1.pth", size=7, **facts).is_last
        False
    """

    name: str
    size: int
    position: str
    saved: str
    is_resumable: bool | None
    is_last: bool = False
    best: str = ""


def read_checkpoints(work_dir: Path, best: Mapping[str, str]) -> list[Checkpoint]:
    """Return the checkpoints in a folder, the latest first.

    Args:
        work_dir: The folder.
        best: For each best checkpoint by name, why it is the best.
    """
    last = _last(work_dir)
    found: list[tuple[float, Checkpoint]] = []
    for path in work_dir.iterdir():
        manifest = _manifest(path)
        if path.suffix not in _ENDINGS and not (manifest and path.is_file()):
            continue
        try:
            time, size = path.stat().st_mtime, _size(path)
        except OSError:  # deleted by a running training since it was listed
            continue
        one = Checkpoint(
            name=path.name,
            size=size,
            position=_position(manifest),
            saved=datetime.fromtimestamp(time).strftime("%Y/%m/%d %H:%M:%S"),
            is_resumable=bool(manifest["resumable"]) if "resumable" in manifest else None,
            is_last=path.name == last,
            best=best.get(path.name, "named best" if path.name.startswith("best_") else ""),
        )
        found.append((time, one))
    return [one for _, one in sorted(found, key=lambda pair: (-pair[0], pair[1].name))]


def _last(work_dir: Path) -> str:
    try:
        text = (work_dir / "last_checkpoint").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return Path(text.strip()).name


def _manifest(path: Path) -> dict[str, Any]:
    file = path / _INSIDE if path.is_dir() else path.with_name(f"{path.name}.json")
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) and "resumable" in data else {}


def _position(manifest: Mapping[str, Any]) -> str:
    places = [f"{name} {manifest[key]}" for key, name in _COUNTERS if manifest.get(key) is not None]
    return ", ".join(places)


_COUNTERS = (("epoch", "epoch"), ("iter", "iteration"))


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size

"""Keep the id of a service's run in the folder of the backend.

A checkpoint may be saved while the service still starts the run, and then lacks the id.
"""

from pathlib import Path


def keep_run_id(save_dir: str, service: str, run_id: str) -> None:
    """Write the id of the run of a service to a file in a folder."""
    folder = Path(save_dir)
    folder.mkdir(parents=True, exist_ok=True)
    _file(folder, service).write_text(run_id, encoding="utf-8")


def kept_run_id(save_dir: str, service: str) -> str | None:
    """Return the id that `keep_run_id` has written last, or None."""
    try:
        return _file(Path(save_dir), service).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _file(folder: Path, service: str) -> Path:
    return folder / f"{service}_run_id.txt"

"""Choose the work directory of a command, and leave nothing behind of a start that failed."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

import click

from engine_fileio import local_path, uri_of
from engine_runner.cli._shortcuts import set_value

if TYPE_CHECKING:
    from engine_config import Config
    from engine_runner.runner import Runner

_NOTE = ".config_file"


def set_work_dir(config: "Config", config_file: Path, work_dir: Path | None) -> None:
    """Choose the work directory: the command line's, the config's, or one of the config's name.

    Raises:
        click.UsageError: The folder of the config's name belongs to another config of that name, or
            ``--cfg-options`` sets another folder.
    """
    if work_dir is not None:
        set_value(config, "--work-dir", "work_dir", uri_of(work_dir))
    elif config.get("work_dir") is None:
        set_default_work_dir(config, default_work_dir(config_file))
        _check_owner(Path(config.work_dir), config_file)


def set_default_work_dir(config: "Config", work_dir: Path) -> None:
    """Set the folder of a config that has none.

    Args:
        config: The merged config.
        work_dir: The folder.
    """
    if config.get("work_dir") is None:
        config.merge_from_dict({"work_dir": str(work_dir)}, origin="the default")


def default_work_dir(config_file: Path) -> Path:
    """Return ``work_dirs/<name of the config>``."""
    return Path("work_dirs") / config_file.stem


def note_owner(runner: "Runner", config_file: Path) -> None:
    """Write into the work directory which config it belongs to, if that is its default one.

    Raises:
        click.UsageError: It belongs to another config by now.
    """
    folder = Path(runner.work_dir)
    if runner.is_main and folder == default_work_dir(config_file).absolute():
        _check_owner(folder, config_file)  # another run may have begun in the meantime
        # Relative, so that a project can be moved as a whole.
        relative = os.path.relpath(config_file.absolute(), folder)
        (folder / _NOTE).write_text(relative, encoding="utf-8")


def _check_owner(folder: Path, config_file: Path) -> None:
    note = folder / _NOTE
    if not note.is_file():
        return
    owner = Path(os.path.normpath(folder.absolute() / note.read_text(encoding="utf-8")))
    # The config may have been renamed or moved; then nobody else claims the folder.
    if owner.is_file() and not owner.samefile(config_file):
        other = folder.with_name(f"{config_file.absolute().parent.name}_{config_file.stem}")
        raise click.UsageError(
            f"{folder} has the runs of {owner}, another config of the same name; choose a folder "
            f"for this one, such as --work-dir {other}"
        )


@contextmanager
def removed_if_unused(config: "Config") -> Iterator[list["Runner"]]:
    """Remove what a run has written that failed at its start; its message is on the console.

    Files that an earlier run left are restored. A run that has finished an iteration, or saved a
    checkpoint, keeps what it wrote.

    Yields:
        A list for the runner, once it is built.
    """
    from engine_runner.environment import missing_folders, remove_log_dir

    work_dir = Path(local_path(config.work_dir)).absolute()
    created = missing_folders(work_dir)
    earlier = {path: path.read_bytes() for path in _written_at_start(config, work_dir)}
    checkpoints = _checkpoints(work_dir)
    built: list[Runner] = []
    try:
        yield built
    except BaseException:
        if _began(built) or _checkpoints(work_dir) - checkpoints:
            raise
        _restore(_written_at_start(config, work_dir), earlier)
        for runner in built:
            runner.visualizer.close()  # also one that the user gave as an object
            remove_log_dir(Path(runner.log_dir), ())
        if work_dir in created:  # it has only what this run wrote, such as the lock
            rmtree(work_dir, ignore_errors=True)
        for folder in created:
            with suppress(OSError):  # it holds something
                folder.rmdir()
        raise


def _checkpoints(work_dir: Path) -> set[Path]:
    """Return the checkpoints in a folder: by their endings, or by manifests beside them."""
    beside = (path.with_suffix("") for path in work_dir.rglob("*.*.json"))
    return {*work_dir.rglob("*.pth"), *work_dir.rglob("*.dcp"), *filter(Path.is_file, beside)}


def _began(built: Sequence["Runner"]) -> bool:
    """Return whether a runner has finished an iteration, of a test or since it resumed."""
    from engine_runner.cli._start_hooks import Began

    hooks = [hook for runner in built for hook in runner.hooks if isinstance(hook, Began)]
    return any(hook.began(runner) for hook, runner in zip(hooks, built, strict=False))


def _written_at_start(config: "Config", work_dir: Path) -> list[Path]:
    """Return the files outside of the log folder that a run writes before its first iteration."""
    dumped = work_dir / Path(config.filename or "config.py").name
    files = (dumped, dumped.with_suffix(".py"), work_dir / _NOTE)
    return [path for path in dict.fromkeys(files) if path.is_file()]


def _restore(written: Sequence[Path], earlier: Mapping[Path, bytes]) -> None:
    for path in written:
        if path in earlier:
            path.write_bytes(earlier[path])
        else:
            path.unlink(missing_ok=True)

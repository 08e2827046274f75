"""Choose the work directory of a command, and leave none behind that a start did not use."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

import click

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
        set_value(config, "--work-dir", "work_dir", str(work_dir.expanduser()))
    elif config.get("work_dir") is None:
        config.work_dir = str(default_work_dir(config_file))
        _check_owner(Path(config.work_dir), config_file)


def default_work_dir(config_file: Path) -> Path:
    """Return ``work_dirs/<name of the config>``."""
    return Path("work_dirs") / config_file.stem


def note_owner(runner: "Runner", config_file: Path) -> None:
    """Write into the work directory which config it belongs to, if that is its default one."""
    folder = Path(runner.work_dir)
    if runner.is_main and folder == default_work_dir(config_file).absolute():
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
    """Remove the folders of a run that failed at its start; its message is on the console.

    Yields:
        A list for the runner, once it is built. Folders with a checkpoint, or of a run that has
        finished an iteration, stay.
    """
    work_dir = Path(config.work_dir).expanduser().absolute()
    created = [folder for folder in (work_dir, *work_dir.parents) if not folder.exists()]
    from engine_logging import MMLogger

    earlier = set(MMLogger._instance_dict)
    built: list[Runner] = []
    try:
        yield built
    except BaseException:
        if any(runner.iter > 0 for runner in built) or any(work_dir.rglob("*.pth")):
            raise
        for name in set(MMLogger._instance_dict) - earlier:
            logger = MMLogger.get_instance(name)
            folders = [file.parent for file in logger.log_files]
            logger.close()
            for folder in folders:
                if folder.parent == work_dir:
                    rmtree(folder, ignore_errors=True)
        if work_dir in created:  # it has only what this run wrote, such as the config
            rmtree(work_dir, ignore_errors=True)
        for folder in created:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise

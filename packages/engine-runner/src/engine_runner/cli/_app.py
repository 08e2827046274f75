"""The table of commands, and what becomes of an error."""

import logging
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import shell_complete

from engine_runner.cli._group import CommandRow, LazyGroup
from engine_runner.cli._options import CONFIG
from engine_runner.cli._streams import protect_output

if TYPE_CHECKING:
    from engine_config import Config

_CLI = "engine_runner.cli"

COMMANDS = {
    "train": CommandRow(f"{_CLI}._train:train", "Train the model that CONFIG describes."),
    "test": CommandRow(f"{_CLI}._test:test", "Test the model that CONFIG describes."),
    "predict": CommandRow(
        f"{_CLI}._predict:predict", "Predict with the model that CONFIG describes."
    ),
    "export": CommandRow(f"{_CLI}._export:export", "Export the model that CONFIG describes."),
    "convert": CommandRow(
        f"{_CLI}._convert:convert", "Convert the checkpoint SRC to the format of DST."
    ),
    "publish": CommandRow(
        f"{_CLI}._publish:publish", "Write the weights of CHECKPOINT to a file of their own."
    ),
    "report": CommandRow(f"{_CLI}._report:report", "Write a page about the runs in WORK_DIR."),
    "config": CommandRow(f"{_CLI}._config:config", "Print the merged config."),
    "check": CommandRow(f"{_CLI}._check:check", "Report every mistake of CONFIG at once."),
    "list": CommandRow(f"{_CLI}._list:list_names", "List the names that a config can use."),
    "hooks": CommandRow(f"{_CLI}._hooks:hooks", "Show the hooks of each point, in their order."),
    "find-lr": CommandRow(f"{_CLI}._find_lr:find_lr", "Suggest a learning rate for CONFIG."),
    "resume-check": CommandRow(
        f"{_CLI}._resume_check:resume_check", "Check that a run of CONFIG resumes exactly."
    ),
    "plot": CommandRow(f"{_CLI}._plot:plot", "Plot the curves of one or several runs."),
    "env": CommandRow(f"{_CLI}._env:env", "Print the environment report."),
}
"""A new command is one file in this folder and one row here: its place and its line of the list."""

_COMPLETE = "_ENGINE_COMPLETE"  # set by the shell, to ask for completions

_EPILOG = """
\b
Examples:
  engine train config.py
  engine train config.py --cfg-options optim_wrapper.optimizer.lr=0.01 train_cfg.max_epochs=5
  engine train config.py --resume
  torchrun --nproc-per-node 2 -m engine_runner.cli train config.py
  engine test config.py work_dirs/config/epoch_5.pth
  engine predict config.py work_dirs/config/epoch_5.pth photos/ --out results
  engine report work_dirs --metric accuracy
  engine check config.py
  engine list hooks
  engine find-lr config.py --out lr.png
  engine config config.py --origins
  engine resume-check config.py
  engine plot work_dirs/config --out curves.png
"""


@click.group(
    cls=LazyGroup,
    rows=COMMANDS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="engine-runner", prog_name="engine")
@click.pass_context
def engine(context: click.Context, debug: bool) -> None:
    """Train and test PyTorch models from config files.

    Exit codes: 0 success, 1 a mistake in the config or the files it names, or an error while
    running, 2 a mistake on the command line, 75 stopped by max_time, 129, 130 and 143 stopped by
    a closed terminal, Ctrl-C and SIGTERM; the last four continue with --resume.
    """
    context.obj = debug


def main() -> None:
    """Run the command line, and exit with its code."""
    protect_output()
    if instruction := os.environ.get(_COMPLETE):
        sys.exit(shell_complete(engine, {}, "engine", _COMPLETE, instruction))
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    facts: dict[str, Any] = {}
    try:
        code = _run(arguments, facts)
    except click.exceptions.Exit as error:  # a command that has found problems
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        code = 130
    except Exception as error:
        code = 1
        _record_failure(error)
        _show(error, debug=debug, config=facts.get(CONFIG))
    sys.exit(code if isinstance(code, int) else 0)


def _run(arguments: list[str], facts: dict[str, Any]) -> object:
    """Run a command; ``facts`` gets what it notes for the report of an error."""
    with engine.make_context("engine", arguments) as context:
        try:
            return engine.invoke(context)
        finally:
            facts.update(context.meta)


def _show(error: Exception, *, debug: bool, config: "Config | None") -> None:
    """Print the message of an error, or the traceback of one that is not a mistake in a config."""
    # Imported here, as they need every package of the errors; so do the next functions.
    from engine_runner.cli._errors import mistake
    from engine_runner.cli._place import place_of

    text = None if debug else mistake(error)
    if text is None:
        traceback.print_exception(error)
        return
    _log_traceback(error)
    click.echo(f"Error: {place_of(error, config)}{text}", err=True)
    click.echo("(--debug shows the traceback)", err=True)


def _log_traceback(error: Exception) -> None:
    """Write the traceback to the log file of the run, if it has begun."""
    from engine_logging import MMLogger

    for logger in list(MMLogger._instance_dict.values()):
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                record = logger.makeRecord(
                    logger.name, logging.ERROR, __file__, 0, "%s", (error,),
                    (type(error), error, error.__traceback__), func="main",
                )  # fmt: skip
                handler.handle(record)


def _record_failure(error: Exception) -> None:
    """Give the other ranks, and torchrun, the reason of a failure that ends this process."""
    from engine_dist import is_distributed, record_failure

    if is_distributed():  # the exception hook of engine-dist does not run: main handles the error
        record_failure(error)

"""The error file of torchrun: where its agent reads why a rank failed, and reports the rank."""

import json
import logging
import os
import time
import traceback

from engine_dist._errors import RankLost

logger = logging.getLogger("engine.dist")

_VARIABLE = "TORCHELASTIC_ERROR_FILE"


def write_error_file(error: BaseException) -> None:
    """Write an exception into the error file of this rank, in the format of torchrun's `record`.

    Does nothing where the launcher gives no file, or where the file has content already: `record`
    around the caller's main function writes it first.
    """
    path = os.environ.get(_VARIABLE)
    if not path:
        return
    # Not torch's `ErrorHandler`: outside an `except` block it finds no traceback to write.
    content = {
        "message": {
            "message": f"{type(error).__name__}: {error}",
            "extraInfo": {
                "py_callstack": "".join(traceback.format_exception(error)),
                # The agent takes the earliest file for the root cause, by whole seconds: a rank
                # that only lost another one must not come first.
                "timestamp": str(int(time.time()) + isinstance(error, RankLost)),
            },
        }
    }
    try:
        if not (os.path.exists(path) and os.path.getsize(path)):
            with open(path, "w") as file:
                json.dump(content, file)
    except OSError as failure:
        logger.warning("cannot write %s=%s: %s", _VARIABLE, path, failure)

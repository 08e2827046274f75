"""Write the error file of torchrun, from which its agent reports why a rank failed."""

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

    Does nothing if the launcher does not set a file, or if the file has content: `record` around
    the main function may have written it.
    """
    path = os.environ.get(_VARIABLE)
    if not path:
        return
    # Not torch's `ErrorHandler`, which finds no traceback outside of an `except` block.
    content = {
        "message": {
            "message": f"{type(error).__name__}: {error}",
            "extraInfo": {
                "py_callstack": "".join(traceback.format_exception(error)),
                # The agent reports the file with the earliest second as the root cause. Add one
                # second for RankLost: a rank that lost another one is not the root cause.
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

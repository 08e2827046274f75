"""How worker processes are started and how many threads each takes."""

import logging
import multiprocessing
import os
import sys

logger = logging.getLogger("engine.utils")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_OPENCV_THREADS = "OPENCV_FOR_THREADS_NUM"


def set_multi_processing(
    mp_start_method: str = "fork", opencv_num_threads: int = 0, distributed: bool = False
) -> None:
    """Set how this process starts its workers, and how many threads those take.

    Args:
        mp_start_method: ``fork``, ``spawn`` or ``forkserver``; replaces what was set before, with
            a warning. Ignored on Windows, which knows only ``spawn``.
        opencv_num_threads: Threads of OpenCV in each process; 0 for none besides the caller's.
        distributed: Whether several ranks share this machine. Then ``OMP_NUM_THREADS`` and
            ``MKL_NUM_THREADS`` become 1 for processes started from here on, unless they are set.

    Raises:
        ValueError: The start method does not exist here, or the number of threads is negative.
    """
    if opencv_num_threads < 0:
        raise ValueError(f"opencv_num_threads={opencv_num_threads} must not be negative")
    if sys.platform != "win32":
        _set_start_method(mp_start_method)
    _set_opencv_threads(opencv_num_threads)
    if distributed:
        for variable in _THREAD_VARIABLES:
            if variable not in os.environ:
                os.environ[variable] = "1"
                logger.info("set %s=1 for worker processes; set it yourself to change", variable)


def _set_start_method(method: str) -> None:
    choices = multiprocessing.get_all_start_methods()
    if method not in choices:
        raise ValueError(f"mp_start_method={method!r}; choose from {', '.join(choices)}")
    current = multiprocessing.get_start_method(allow_none=True)
    if current not in (None, method):
        logger.warning(
            "multiprocessing starts processes by %s from now on, not %s", method, current
        )
    multiprocessing.set_start_method(method, force=True)


def _set_opencv_threads(number: int) -> None:
    if (cv2 := sys.modules.get("cv2")) is not None:
        cv2.setNumThreads(number)
    # OpenCV reads the variable when it is loaded, here later or in a worker; there 0 means its own
    # choice, and 1 what 0 means to setNumThreads.
    os.environ[_OPENCV_THREADS] = str(max(number, 1))

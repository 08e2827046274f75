"""Set how worker processes are started, and the number of threads of each."""

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
    """Set how this process starts its workers, and the number of threads of each.

    Args:
        mp_start_method: ``fork``, ``spawn`` or ``forkserver``. It replaces a method set before,
            with a warning. Ignored on Windows, which supports only ``spawn``.
        opencv_num_threads: Threads of OpenCV per process; 0 runs it in the thread of the caller.
        distributed: Whether several ranks share this machine. If so, ``OMP_NUM_THREADS`` and
            ``MKL_NUM_THREADS`` are set to 1 for later processes, unless they are set already.

    Raises:
        ValueError: The start method does not exist here, or the number of threads is negative.
    """
    if opencv_num_threads < 0:
        raise ValueError(f"opencv_num_threads must be >= 0, got {opencv_num_threads}")
    if sys.platform != "win32":
        _set_start_method(mp_start_method)
    _set_opencv_threads(opencv_num_threads)
    if distributed:
        for variable in _THREAD_VARIABLES:
            if variable not in os.environ:
                os.environ[variable] = "1"
                logger.info("%s is 1 for worker processes; set it to change this", variable)


def _set_start_method(method: str) -> None:
    choices = multiprocessing.get_all_start_methods()
    if method not in choices:
        raise ValueError(f"mp_start_method must be one of {', '.join(choices)}, got {method!r}")
    current = multiprocessing.get_start_method(allow_none=True)
    if current not in (None, method):
        logger.warning(
            "the start method of multiprocessing is %s from now on, not %s", method, current
        )
    multiprocessing.set_start_method(method, force=True)


def _set_opencv_threads(number: int) -> None:
    if (cv2 := sys.modules.get("cv2")) is not None:
        cv2.setNumThreads(number)
    # OpenCV reads the variable when it is loaded, later in this process or in a worker. In the
    # variable, 0 means OpenCV's default, and 1 means the same as 0 in setNumThreads.
    os.environ[_OPENCV_THREADS] = str(max(number, 1))

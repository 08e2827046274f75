"""Lock open files; the system releases a lock when its process ends, however it ends."""

import errno
import os

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM)


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file against all who open it anew, in this process or another.

    The lock is released when the descriptor is closed, and when the process ends. Forked children
    share it, until they close the descriptor, too.

    Args:
        descriptor: The descriptor of a local file, opened for writing.

    Returns:
        Whether the file is locked now; False while another opening of the file has the lock. None
        where the operating system or the file system has no locks.
    """
    if os.name == "nt":
        return None
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise
    return True

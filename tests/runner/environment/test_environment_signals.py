"""What takes signals during a training leaves nothing behind."""

import os
import signal
import threading

from engine_runner.environment import StopSignals


def test_thread_ends_although_a_worker_has_a_copy_of_its_socket() -> None:
    taken = StopSignals(["SIGTERM"], print)
    taken.install()
    (thread,) = [one for one in threading.enumerate() if one.name == "engine-signals"]
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    copy = os.dup(descriptor)  # as a forked worker has one, which may outlive the training

    taken.restore()
    thread.join(10)

    os.close(copy)
    assert not thread.is_alive()

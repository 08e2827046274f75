"""Errors that callers may catch.

A missing file, folder or permission raises Python's own subclass of OSError.
"""

import pickle


class StorageError(OSError):
    """An operation of a storage backend failed; base class of this package's storage errors."""


class StorageUnavailable(StorageError, ConnectionError):
    """A server cannot be reached, or failed until the last retry."""


class OperationNotSupported(StorageError, NotImplementedError):
    """A backend does not support this operation, such as a deletion over HTTP.

    Args:
        backend: Name of the backend.
        operation: The method that was called.
        hint: The alternative, for the message.
    """

    def __init__(self, backend: str, operation: str, hint: str = "") -> None:
        text = f"{backend} cannot do {operation!r}"
        super().__init__(f"{text}: {hint}" if hint else text)
        self.backend = backend
        self.operation = operation

    def __reduce__(self) -> tuple[object, ...]:
        # OSError is unpickled from `args`, which hold the finished message. `__init__` needs its
        # parts.
        return (_rebuild_not_supported, (self.backend, self.operation, str(self)))


class UntrustedDataError(pickle.UnpicklingError):
    """A file that was read with ``trusted=False`` holds more than plain data."""


def _rebuild_not_supported(backend: str, operation: str, text: str) -> OperationNotSupported:
    error = OperationNotSupported(backend, operation)
    error.args = (text,)
    return error

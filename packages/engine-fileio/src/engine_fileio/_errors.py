"""What callers may catch. Missing files, folders and rights raise Python's own OSError kin."""

import pickle


class StorageError(OSError):
    """A storage back end could not do what it was asked; the base of this package's errors."""


class StorageUnavailable(StorageError, ConnectionError):
    """A server could not be reached, or kept failing until the last retry."""


class OperationNotSupported(StorageError, NotImplementedError):
    """A back end has no way to do this operation, such as a deletion over HTTP.

    Args:
        backend: Name of the back end.
        operation: The method that was called.
        hint: What to do instead.
    """

    def __init__(self, backend: str, operation: str, hint: str = "") -> None:
        text = f"{backend} cannot do {operation!r}"
        super().__init__(f"{text}: {hint}" if hint else text)
        self.backend = backend
        self.operation = operation

    def __reduce__(self) -> tuple[object, ...]:
        # OSError rebuilds from args, which hold the finished message; this class wants its parts.
        return (_rebuild_not_supported, (self.backend, self.operation, str(self)))


class UntrustedDataError(pickle.UnpicklingError):
    """A file read with ``trusted=False`` holds more than plain data."""


def _rebuild_not_supported(backend: str, operation: str, text: str) -> OperationNotSupported:
    error = OperationNotSupported(backend, operation)
    error.args = (text,)
    return error

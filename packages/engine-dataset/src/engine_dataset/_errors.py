"""What callers of this package may want to catch."""


class DatasetError(RuntimeError):
    """Base of this package's own errors."""


class SampleError(DatasetError):
    """A sample could not be read or processed; the message names its index and its file.

    Args:
        message: What is wrong.
        index: Index of the sample in the data set that raised.
        path: File the sample comes from, ``None`` when its record names none.

    An error that crosses from a worker process to the trainer keeps its type and its message, which
    holds index and path; the two attributes are ``None`` there, as torch rebuilds errors from their
    message alone.
    """

    def __init__(self, message: str, *, index: int | None = None, path: str | None = None) -> None:
        super().__init__(message)
        self.index = index
        self.path = path

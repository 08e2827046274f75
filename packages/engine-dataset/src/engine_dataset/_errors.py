"""Errors of this package that callers may catch."""


class DatasetError(RuntimeError):
    """The base class of the errors of this package.

    Example:
        >>> from engine_dataset import BaseDataset
        >>> class Broken(BaseDataset):
        ...     def load_data_list(self):
        ...         return [{"value": 0}]
        >>> dataset = Broken(pipeline=[lambda record: 1 / record["value"]])
        >>> try:
        ...     dataset[0]
        ... except DatasetError as error:
        ...     print(error)
        sample 0 (Broken) could not be prepared: ZeroDivisionError: division by zero
    """


class SampleError(DatasetError):
    """A sample could not be read or processed; the message names its index and its file.

    torch rebuilds the error of a worker in the trainer from its message alone. So it keeps its type
    and message there, but ``index`` and ``path`` are ``None``.

    Args:
        message: The error.
        index: The index of the sample in the dataset.
        path: The file of the sample, or ``None`` if its record has none.

    Example:
        >>> raise SampleError("sample 3 (cat.jpg) could not be prepared", index=3, path="cat.jpg")
        Traceback (most recent call last):
            ...
        engine_dataset._errors.SampleError: sample 3 (cat.jpg) could not be prepared
    """

    def __init__(self, message: str, *, index: int | None = None, path: str | None = None) -> None:
        super().__init__(message)
        self.index = index
        self.path = path

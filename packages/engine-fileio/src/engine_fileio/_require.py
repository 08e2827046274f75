"""Third-party libraries of the optional back ends, imported on first use."""

import importlib
from types import ModuleType

# module → the extra of engine-fileio that installs it
_EXTRAS = {
    "boto3": "s3",
    "botocore": "s3",
    "fsspec": "fsspec",
    "lmdb": "lmdb",
    "pymemcache": "memcached",
    "requests": "http",
    "s3transfer": "s3",
    "zstandard": "zstd",
}


def require(module: str) -> ModuleType:
    """Import ``module``, a library of the table above or a part of one.

    Raises:
        ImportError: It is not installed; the message holds the line that installs it.
    """
    package = module.partition(".")[0]
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ImportError(
            f'this needs the package {package!r}: pip install "engine-fileio[{_EXTRAS[package]}]"',
            name=package,
        ) from error
    return importlib.import_module(module)

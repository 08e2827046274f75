"""Convert errors of botocore to the errors of a file system."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from engine_fileio._errors import StorageError, StorageUnavailable
from engine_fileio._paths import StrPath, shown
from engine_fileio.backends._library import import_library

# The answer to a HEAD request has no body with an error code. botocore then uses the status as the
# code.
_MISSING = frozenset({"404", "NoSuchBucket", "NoSuchKey", "NotFound"})
_DENIED = frozenset(
    {
        "401",
        "403",
        "AccessDenied",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
    }
)


@contextlib.contextmanager
def storage_errors(path: StrPath) -> Iterator[None]:
    """Convert errors of botocore for ``path`` to subclasses of OSError.

    The errors of botocore quote addresses, which may contain a password. Therefore ours are raised
    from None, without the original error.
    """
    errors, high = (
        import_library("s3", "botocore.exceptions"),
        import_library("s3", "boto3.exceptions"),
    )
    transfer = import_library("s3", "s3transfer.exceptions")
    try:
        yield
    except errors.ClientError as error:
        raise _meaning(error.response, error.operation_name, path) from None
    except high.S3UploadFailedError as error:
        # boto3 wraps the error of an upload in parts; only the cause has the error code.
        cause = error.__cause__ or error.__context__
        if isinstance(cause, errors.ClientError):
            raise _meaning(cause.response, cause.operation_name, path) from None
        raise StorageError(f"{shown(path)!r}: the upload failed in boto3") from None
    except (errors.NoCredentialsError, errors.PartialCredentialsError) as error:
        raise PermissionError(
            f"no credentials for {shown(path)!r} ({type(error).__name__}); set AWS_ACCESS_KEY_ID "
            "and AWS_SECRET_ACCESS_KEY, pass profile_name, or pass anonymous=True for public data"
        ) from None
    except (
        errors.ConnectionError,
        errors.HTTPClientError,
        errors.IncompleteReadError,
        transfer.RetriesExceededError,
    ) as error:
        raise StorageUnavailable(
            f"the store of {shown(path)!r} cannot be reached ({type(error).__name__}); "
            "check endpoint_url and the network"
        ) from None
    except errors.BotoCoreError as error:
        raise StorageError(f"{shown(path)!r}: {type(error).__name__} in boto3") from None


def check_answer(response_dict: Mapping[str, Any], **_: object) -> None:
    """Raise if an answer is a web page instead of that of a store; for an event of botocore.

    A portal of a network answers each request with its page, and status 200.

    Raises:
        StorageUnavailable: The answer is a web page.
    """
    headers = {str(name).lower(): str(value) for name, value in response_dict["headers"].items()}
    # The answers of stores have an ETag or a request id. An object may be a web page.
    is_ours = "etag" in headers or any(name.startswith("x-amz") for name in headers)
    is_page = headers.get("content-type", "").startswith("text/html")
    if response_dict["status_code"] < 300 and is_page and not is_ours:
        raise StorageUnavailable(
            "the answer is a web page, not that of an object store; check endpoint_url, and "
            "whether a proxy or a portal of the network answers in its place"
        )


def _meaning(response: dict[str, dict[str, object]], operation: str, path: StrPath) -> OSError:
    code = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    text = f"{shown(path)!r}: {operation} failed with {code}"
    if code in _MISSING:
        return FileNotFoundError(text)
    if code in _DENIED:
        return PermissionError(f"{text}; check the credentials and their rights")
    if isinstance(status, int) and status >= 500:
        return StorageUnavailable(text)
    return StorageError(text)

"""Parse addresses in object stores into cluster, bucket and key, and describe connections."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from engine_fileio._paths import StrPath, resolve_dots, shown, uri_of


@dataclass(frozen=True, kw_only=True)
class S3Connection:
    """The address and credentials of a store; None stands for boto3's own settings.

    Example:
        >>> S3Connection(endpoint_url="http://localhost:9000", secret_access_key="hunter2")
        S3Connection(endpoint_url='http://localhost:9000', region_name=None)
    """

    endpoint_url: str | None = None
    region_name: str | None = None
    profile_name: str | None = field(default=None, repr=False)
    anonymous: bool = field(default=False, repr=False)
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)


class S3Object(NamedTuple):
    """An address. ``cluster`` is None for the default store. ``key`` is empty for a bucket."""

    cluster: str | None
    bucket: str
    key: str


def locate(path: StrPath, mapping: Mapping[str, str], schemes: tuple[str, ...]) -> S3Object:
    """Return the address of ``[cluster:]scheme://bucket/key``, or of a mapped local path.

    Args:
        path: The path or URI.
        mapping: URIs by local prefix.
        schemes: The schemes that are accepted.

    Raises:
        PermissionError: The key leaves its bucket, or the mapped root, through ``..``.
        ValueError: The path is not such a URI, and no prefix maps it.
    """
    uri, root = _mapped(uri_of(path), mapping)
    head, separator, rest = uri.partition("://")
    cluster, _, scheme = head.rpartition(":")
    bucket, _, key = rest.partition("/")
    if not separator or scheme not in schemes or not bucket:
        forms = " or ".join(f"{scheme}://bucket/key" for scheme in schemes)
        raise ValueError(f"a path must be {forms}, got {shown(uri)!r}; or pass path_mapping")
    inner = root.partition("://")[2].partition("/")[2]
    return S3Object(cluster or None, bucket, resolve_dots(key, root=inner))


def _mapped(uri: str, mapping: Mapping[str, str]) -> tuple[str, str]:
    """Return the URI of a path, and its root: ``..`` must not lead out of the root."""
    for source in sorted(mapping, key=len, reverse=True):
        if uri.startswith(source):
            return mapping[source] + uri[len(source) :], mapping[source]
    return uri, ""

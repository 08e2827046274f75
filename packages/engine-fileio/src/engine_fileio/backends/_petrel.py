"""The Petrel backend: several S3 stores, each under the name of a cluster."""

import configparser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine_fileio._paths import StrPath
from engine_fileio.backends._s3 import S3Backend
from engine_fileio.backends._s3_address import S3Connection
from engine_utils import expand_home

_USUAL_PLACE = "~/petreloss.conf"


class PetrelBackend(S3Backend):
    """Several S3 stores, each a cluster with a name: ``cluster:petrel://bucket/key``.

    URIs without a cluster (``petrel://`` or ``s3://``) belong to the default cluster. Clusters are
    the sections of an INI file with ``access_key``, ``secret_key`` and ``host_base`` (or
    ``endpoint_url``). ``default_cluster`` in the section ``DEFAULT`` names the default. Without a
    file, the options of `S3Backend` describe the default store.

    Args:
        path_mapping: As for `S3Backend`.
        enable_mc: Accepted for older configs, without effect. Nothing is cached here, so a read
            returns the last write; use `MemcachedBackend` for memcached.
        conf_path: The INI file. By default ``~/petreloss.conf``, if it exists.
        **options: Other arguments of `S3Backend`.

    Example:
        >>> PetrelBackend().join_path("cluster1:petrel://bucket/dir", "/another/file")
        'cluster1:petrel://bucket/dir/another/file'
    """

    _schemes = ("petrel", "s3")

    def __init__(
        self,
        path_mapping: Mapping[str, str] | None = None,
        enable_mc: bool = True,
        conf_path: StrPath | None = None,
        **options: Any,
    ) -> None:
        super().__init__(path_mapping, **options)
        self._enable_mc = enable_mc
        self._default, self._clusters = _read_clusters(conf_path)

    def _connection_of(self, cluster: str | None) -> S3Connection:
        name = cluster or self._default
        if name is None:
            return self._connection
        if name not in self._clusters:
            raise ValueError(f"no cluster is named {name!r}; configured: {sorted(self._clusters)}")
        return self._clusters[name]


def _read_clusters(conf_path: StrPath | None) -> tuple[str | None, dict[str, S3Connection]]:
    """Return the name of the default cluster and all clusters of an INI file."""
    path = Path(expand_home(_USUAL_PLACE if conf_path is None else conf_path))
    if conf_path is None and not path.exists():
        return None, {}
    parser = configparser.ConfigParser(interpolation=None)  # a secret may contain a percent sign
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except configparser.Error as error:
        # Raised from None: the message of the parser quotes lines, which may hold secrets.
        kind = type(error).__name__
        raise ValueError(f"{str(path)!r} must be an INI file of clusters, got {kind}") from None
    clusters = {
        name: S3Connection(
            endpoint_url=_address(parser[name]),
            region_name=parser[name].get("region"),
            access_key_id=parser[name].get("access_key"),
            secret_access_key=parser[name].get("secret_key"),
        )
        for name in parser.sections()
    }
    return parser.defaults().get("default_cluster"), clusters


def _address(section: configparser.SectionProxy) -> str | None:
    host = section.get("endpoint_url") or section.get("host_base")
    return f"http://{host}" if host and "://" not in host else host

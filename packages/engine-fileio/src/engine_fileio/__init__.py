"""One set of file functions over disk, HTTP, S3, LMDB, memcached and fsspec."""

__all__: list[str] = []

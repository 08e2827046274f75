"""Writers: how a collected checkpoint gets to its storage, behind one protocol."""

from engine_runner.checkpoint.writers._async import AsyncWriter
from engine_runner.checkpoint.writers._build import WRITERS, build_writer, require_one_kind
from engine_runner.checkpoint.writers._file import write_file
from engine_runner.checkpoint.writers._plain import PlainWriter
from engine_runner.checkpoint.writers._sharded import ShardedWriter
from engine_runner.checkpoint.writers._writer import Writer

__all__ = [
    "WRITERS",
    "AsyncWriter",
    "PlainWriter",
    "ShardedWriter",
    "Writer",
    "build_writer",
    "require_one_kind",
    "write_file",
]

"""Writers: how a collected checkpoint gets to its storage, behind one protocol."""

from engine_runner.checkpoint.writers._plain import PlainWriter
from engine_runner.checkpoint.writers._sharded import ShardedWriter
from engine_runner.checkpoint.writers._writer import Writer

__all__ = ["PlainWriter", "ShardedWriter", "Writer"]

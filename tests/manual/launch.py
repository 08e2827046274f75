"""Run a script as a rank of a launcher does: launch.py RANK SIZE PORT SCRIPT."""

import os
import runpy
import sys
from pathlib import Path

rank, size, port, script = sys.argv[1:]
os.environ |= {
    "RANK": rank,
    "LOCAL_RANK": rank,
    "WORLD_SIZE": size,
    "LOCAL_WORLD_SIZE": size,
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": port,
}
sys.path.insert(0, str(Path(script).parent))
sys.argv = [script]
runpy.run_path(script, run_name="__main__")

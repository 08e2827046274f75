"""Written by scripts/compat_stubs.py."""

from engine_dataset import COLLATE_FUNCTIONS, default_collate, pseudo_collate, worker_init_fn

__all__ = ["COLLATE_FUNCTIONS", "default_collate", "pseudo_collate", "worker_init_fn"]

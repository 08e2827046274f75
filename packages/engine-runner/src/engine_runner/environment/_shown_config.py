"""The config as a run logs, stores and sends it: without secrets."""

from engine_config import Config
from engine_utils import mask_secrets


def shown_config(cfg: Config) -> Config:
    """Return a config with ``"***"`` in place of each secret; the config itself if it has none.

    Args:
        cfg: The config of a run, which keeps its secrets.

    Example:
        >>> storage = dict(type="LoggerHook", backend_args=dict(token="t0p"))
        >>> print(shown_config(Config(dict(hook=storage))).pretty_text, end="")
        hook = dict(type='LoggerHook', backend_args=dict(token='***'))
    """
    masked = mask_secrets(cfg._cfg_dict)
    return cfg if masked is cfg._cfg_dict else Config(masked, filename=cfg.filename)

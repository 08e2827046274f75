"""Import matplotlib, which is needed by plots and windows only."""

from types import ModuleType

from engine_utils import import_extra


def import_matplotlib(purpose: str) -> ModuleType:
    """Import matplotlib, or raise an error that names the extra ``plots``.

    Args:
        purpose: The subject of the message, such as ``"plot_curves"``.

    Raises:
        ImportError: Matplotlib cannot be imported.
    """
    return import_extra("matplotlib", install="engine-visualization[plots]", purpose=purpose)

from mmengine.utils import digit_version

import mmengine

from .version import __version__, version_info

mmengine_minimum_version = "0.7.0"
mmengine_maximum_version = "1.0.0"
mmengine_version = digit_version(mmengine.__version__)

assert (
    digit_version(mmengine_minimum_version)
    <= mmengine_version
    < digit_version(mmengine_maximum_version)
), (
    f"MMEngine=={mmengine.__version__} is used but incompatible. "
    f"Please install mmengine>={mmengine_minimum_version}, <{mmengine_maximum_version}."
)

__all__ = ["__version__", "digit_version", "version_info"]

"""Initialize modules from configs."""

import copy
import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import nn

from engine_model._compiled import original
from engine_model.init._initialize import InitConfig, as_dicts, initialize, is_pretrained
from engine_model.init._record import recording, update_init_info

logger = logging.getLogger("engine.model")


class BaseModule(nn.Module):
    """Extend `torch.nn.Module` by initialization from a config.

    `init_weights` runs the initializers of ``init_cfg``, then the `init_weights` of the
    sub-modules, then the ``Pretrained`` entries of ``init_cfg``. Later steps overwrite earlier
    ones.

    Args:
        init_cfg: One or more configs of initializers; see `initialize`.

    Attributes:
        init_cfg: A copy of the argument.

    Example:
        >>> class Net(BaseModule):
        ...     def __init__(self):
        ...         super().__init__(init_cfg=dict(type="Constant", layer="Linear", val=2))
        ...         self.linear = nn.Linear(1, 1)
        >>> net = Net()
        >>> net.init_weights()
        >>> net.linear.weight.item()
        2.0
    """

    def __init__(self, init_cfg: InitConfig | None = None) -> None:
        super().__init__()
        self._is_init = False
        self.init_cfg = copy.deepcopy(init_cfg)

    @property
    def is_init(self) -> bool:
        """Whether `init_weights` has run."""
        return self._is_init

    def init_weights(self) -> None:
        """Initialize the parameters in place, and log which initializer set each of them.

        It calls `init_weights` of each sub-module that has it, in order. The sub-module may
        be of any class, and may be inside a plain container. A second call does nothing and logs a
        warning. While `init_weights` runs, every sub-module has the table ``_params_init_info``.
        """
        if self._is_init:
            logger.warning(
                "init_weights of %s has been called more than once; this call does nothing",
                type(self).__name__,
            )
            return
        configs = as_dicts(self.init_cfg, "init_cfg") if self.init_cfg else []
        with recording(self):
            initialize(self, [cfg for cfg in configs if not is_pretrained(cfg)])
            for child in _initializable(self):
                child.init_weights()
                name = type(original(child)).__name__
                update_init_info(child, f"Initialized by user-defined `init_weights` in {name} ")
            initialize(self, [cfg for cfg in configs if is_pretrained(cfg)])
        self._is_init = True

    def __repr__(self) -> str:
        """Return the module tree, with ``init_cfg`` where there is one."""
        text = super().__repr__()
        return f"{text}\ninit_cfg={self.init_cfg}" if self.init_cfg else text


class Sequential(BaseModule, nn.Sequential):
    """A `torch.nn.Sequential` with its own ``init_cfg``.

    Args:
        *args: The modules, or one ordered dict of them.
        init_cfg: One or more configs of initializers; see `initialize`.

    Example:
        >>> layers = Sequential(
        ...     nn.Linear(1, 1), init_cfg=dict(type="Constant", layer="Linear", val=2)
        ... )
        >>> layers.init_weights()
        >>> layers[0].weight.item()
        2.0
    """

    def __init__(
        self, *args: nn.Module | OrderedDict[str, nn.Module], init_cfg: InitConfig | None = None
    ) -> None:
        BaseModule.__init__(self, init_cfg)
        nn.Sequential.__init__(self, *args)  # type: ignore[arg-type]  # one of its two overloads


class ModuleList(BaseModule, nn.ModuleList):
    """A `torch.nn.ModuleList` with its own ``init_cfg``.

    Args:
        modules: The modules.
        init_cfg: One or more configs of initializers; see `initialize`.

    Example:
        >>> layers = ModuleList(
        ...     [nn.Linear(1, 1)], init_cfg=dict(type="Constant", layer="Linear", val=2)
        ... )
        >>> layers.init_weights()
        >>> layers[0].weight.item()
        2.0
    """

    def __init__(
        self, modules: Iterable[nn.Module] | None = None, init_cfg: InitConfig | None = None
    ) -> None:
        BaseModule.__init__(self, init_cfg)
        nn.ModuleList.__init__(self, modules)


class ModuleDict(BaseModule, nn.ModuleDict):
    """A `torch.nn.ModuleDict` with its own ``init_cfg``.

    Args:
        modules: A mapping of names to modules, or pairs of them.
        init_cfg: One or more configs of initializers; see `initialize`.

    Example:
        >>> layers = ModuleDict(
        ...     {"head": nn.Linear(1, 1)}, init_cfg=dict(type="Constant", layer="Linear", val=2)
        ... )
        >>> layers.init_weights()
        >>> layers["head"].weight.item()
        2.0
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module] | Iterable[tuple[str, nn.Module]] | None = None,
        init_cfg: InitConfig | None = None,
    ) -> None:
        BaseModule.__init__(self, init_cfg)
        # torch accepts pairs as well as mappings; its stub lists only mappings.
        nn.ModuleDict.__init__(self, modules)  # type: ignore[arg-type]


def _initializable(module: nn.Module) -> Iterator[Any]:
    """Yield the outermost sub-modules with `init_weights`, which initialize their children."""
    for child in module.children():
        if callable(getattr(child, "init_weights", None)):
            yield child
        else:
            yield from _initializable(child)

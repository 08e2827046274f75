"""Initialize modules from configs."""

import copy
import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from engine_model._compiled import original
from engine_model.init._initialize import InitConfig, as_dicts, initialize, is_pretrained
from engine_model.init._record import log_records, recording, table_of, update_init_info
from engine_utils import plain_name

logger = logging.getLogger("engine.model")


class BaseModule(nn.Module):
    """Extend `torch.nn.Module` by initialization from a config.

    `init_weights` runs the initializers of ``init_cfg``, then the `init_weights` of the direct
    children, then the ``Pretrained`` entries of ``init_cfg``. Later steps overwrite earlier ones.

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
        """Whether `init_weights` has run. Set it to false to initialize the module again."""
        return self._is_init

    @is_init.setter
    def is_init(self, value: bool) -> None:
        self._is_init = value

    def init_weights(self) -> None:
        """Initialize the parameters in place, and log which initializer set each of them.

        It calls `init_weights` of each direct child that has it, in order; the child may be of any
        class. A `torch.nn.ModuleList` or `torch.nn.Sequential` has none, so the modules in it keep
        the weights of their construction: a warning lists those with ``init_cfg``. Use the
        `ModuleList` and `Sequential` of this package to initialize them. A second call does nothing
        and logs a warning. While `init_weights` runs, every sub-module has the table
        ``_params_init_info``.
        """
        if self._is_init:
            logger.warning(
                "init_weights of %s has been called more than once; this call does nothing",
                type(self).__name__,
            )
            return
        configs = as_dicts(self.init_cfg, "init_cfg") if self.init_cfg else []
        with recording(self) as is_outermost:
            initialize(self, [cfg for cfg in configs if not is_pretrained(cfg)])
            for child in self.children():
                if callable(getattr(child, "init_weights", None)):
                    _initialize_child(child)
            initialize(self, [cfg for cfg in configs if is_pretrained(cfg)])
            if is_outermost:
                _warn_of_left_out(self)
                self._dump_init_info()
        self._is_init = True

    def _dump_init_info(self) -> None:
        # By this name for subclasses, whose own `init_weights` may call it while it is recorded.
        log_records(self)

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


def _initialize_child(child: Any) -> None:
    child.init_weights()
    module = original(child)
    table_of(module, "init_weights").called.add(module)
    update_init_info(
        child, f"Initialized by user-defined `init_weights` in {type(module).__name__} "
    )


def _warn_of_left_out(root: BaseModule) -> None:
    """Log the modules with ``init_cfg`` whose `init_weights` was not called, if any."""
    called = table_of(root, "init_weights").called
    left_out: list[str] = []
    for name, module in root.named_modules():
        is_used = module is root or module in called or not isinstance(module, BaseModule)
        # A module that is left out initializes none of those inside it: one name for all.
        inside = any(name.startswith(f"{outer}.") for outer in left_out)
        if not is_used and module.init_cfg and not module.is_init and not inside:
            left_out.append(name)
    if not left_out:
        return
    container = type(root.get_submodule(left_out[0].rpartition(".")[0])).__name__
    more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
    logger.warning(
        "init_weights of %s leaves out %s%s, whose init_cfg does nothing: it calls direct children "
        "only, and the %s around has no init_weights; use ModuleList, Sequential and "
        "ModuleDict of engine_model, or call their init_weights yourself",
        *(type(root).__name__, ", ".join(map(plain_name, left_out[:3])), more, container),
    )

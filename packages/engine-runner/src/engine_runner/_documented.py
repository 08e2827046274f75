"""The private names of the documented runner that libraries read and set."""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any, TypeVar

from engine_runner._forward import Forward

Kind = TypeVar("Kind", bound=type)

SETTINGS = {
    "_train_dataloader": "_settings.train_dataloader",
    "_val_dataloader": "_settings.val_dataloader",
    "_test_dataloader": "_settings.test_dataloader",
    "_val_evaluator": "_settings.val_evaluator",
    "_test_evaluator": "_settings.test_evaluator",
    "_load_from": "_settings.load_from",
    "_resume": "_settings.resume",
    "_randomness_cfg": "_settings.randomness",
}
"""What each name reads. To set one raises: it would change nothing."""

FACTS = {
    "_launcher": "launcher",
    "_distributed": "distributed",
    "_rank": "rank",
    "_world_size": "world_size",
    "_timestamp": "timestamp",
    "_experiment_name": "experiment_name",
    "_work_dir": "work_dir",
    "_log_dir": "log_dir",
    "_seed": "seed",
    "_deterministic": "deterministic",
    "_diff_rank_seed": "diff_rank_seed",
    "_model_name": "model_name",
    "_visualizer": "visualizer",
    "_log_processor": "log_processor",
}
"""What each name reads, until a subclass sets it, as ``setup_env`` written by hand does."""


class _Fact:
    """An attribute that reads another one, until it is set."""

    def __init__(self, path: str) -> None:
        self._read = attrgetter(path)
        self.__doc__ = f"See `{path}`."

    def __get__(self, owner: object | None, kind: type | None = None) -> Any:
        return self if owner is None else self._read(owner)


class _Hooks:
    """The hooks of a runner, which a list may replace."""

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        return self if owner is None else owner._hook_list

    def __set__(self, owner: Any, hooks: Iterable[Any]) -> None:
        owner._hook_list = owner._hook_list.replaced(hooks)


def with_documented_names(kind: Kind) -> Kind:
    """Give a runner the private names that libraries read of the documented one."""
    for name, path in SETTINGS.items():
        setattr(kind, name, Forward[Any](path, f"See `{path}`."))
    for name, path in FACTS.items():
        setattr(kind, name, _Fact(path))
    kind._hooks = _Hooks()  # type: ignore[attr-defined]  # set here
    return kind

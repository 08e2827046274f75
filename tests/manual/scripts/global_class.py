"""Share an object between a hook and a module by its name (manual, 6000)."""

from typing import Any

from torch import nn

from engine_runner import Hook
from engine_utils import ManagerMixin


class GlobalClass(ManagerMixin):
    """A value with a name."""

    def __init__(self, name: str, value: int) -> None:
        super().__init__(name)
        self.value = value


class CustomHook(Hook):
    """Make two objects when a run starts."""

    def before_run(self, runner: Any) -> None:
        """Make them."""
        GlobalClass.get_instance("engine", value=50)
        GlobalClass.get_instance(runner.experiment_name, value=100)


class CustomModule(nn.Module):
    """Read both."""

    def forward(self, x: Any) -> tuple[int, int]:
        """Return the value made last, and the one of a name."""
        return (
            GlobalClass.get_current_instance().value,
            GlobalClass.get_instance("engine").value,
        )


class Run:
    """What the hook reads of a runner."""

    experiment_name = "experiment"


CustomHook().before_run(Run())
print("values", *CustomModule()(None))

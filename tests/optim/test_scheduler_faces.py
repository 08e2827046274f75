"""What the faces of a schedule show of it."""

import inspect

import pytest

from engine_optim import CosineAnnealingLR, CosineAnnealingMomentum, CosineAnnealingParamScheduler
from engine_optim.schedulers import LinearLR


@pytest.mark.parametrize("face", [CosineAnnealingLR, CosineAnnealingMomentum])
def test_face_shows_the_arguments_of_its_schedule(face: type) -> None:
    generic = inspect.signature(CosineAnnealingParamScheduler).parameters

    shown = inspect.signature(face).parameters

    assert list(shown) == [name for name in generic if name != "param_name"]


def test_subclass_of_a_face_shows_its_own_arguments() -> None:
    class Short(LinearLR):
        """Warms up in ten steps."""

        def __init__(self, optimizer: object, factor: float) -> None:
            super().__init__(optimizer, start_factor=factor, end=10)  # type: ignore[arg-type]  # unused

    assert list(inspect.signature(Short).parameters) == ["optimizer", "factor"]

"""Optimizers by name."""

import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from engine_optim import TORCH_OPTIMIZERS, _libraries
from engine_registry import OPTIMIZERS

if TYPE_CHECKING:
    from conftest import Scripts


def parameters() -> dict[str, Any]:
    return {"params": list(nn.Linear(1, 1).parameters())}


@pytest.fixture(autouse=True)
def _restore_registry() -> Iterator[None]:
    before = dict(OPTIMIZERS.module_dict)
    yield
    OPTIMIZERS.module_dict.clear()
    OPTIMIZERS.module_dict.update(before)


@pytest.mark.parametrize("name", TORCH_OPTIMIZERS)
def test_every_optimizer_of_torch_is_registered(name: str) -> None:
    assert OPTIMIZERS.get(name) is getattr(torch.optim, name)


def test_list_of_torch_optimizers_is_complete() -> None:
    classes = {
        name
        for name in torch.optim.__all__
        if isinstance(getattr(torch.optim, name), type) and name != "Optimizer"
    }

    assert classes == set(TORCH_OPTIMIZERS)


@pytest.mark.parametrize("kind", ["SGD", "torch.optim.SGD", torch.optim.SGD], ids=str)
def test_optimizer_is_built_from_each_form_of_type(kind: Any) -> None:
    optimizer = OPTIMIZERS.build({"type": kind, "lr": 0.5}, default_args=parameters())

    assert type(optimizer) is torch.optim.SGD
    assert optimizer.defaults["lr"] == 0.5


def test_every_library_optimizer_has_an_entry_point() -> None:
    announced = {entry.name for entry in entry_points(group="engine.optimizer")}

    assert set(_libraries.LIBRARIES) <= announced
    for name in _libraries.LIBRARIES:
        assert OPTIMIZERS.get(name) is not None


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Prodigyy", "did you mean 'Prodigy'"), ("Unlike", "there are: .*Lion, Prodigy")],
)
def test_unknown_library_optimizer_raises_with_the_choices(name: str, hint: str) -> None:
    with pytest.raises(AttributeError, match=hint):
        getattr(_libraries, name)


def test_optimizer_of_a_missing_library_names_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "prodigyopt", None)

    message = r'the optimizer Prodigy needs prodigyopt .*pip install "prodigyopt"'
    with pytest.raises(ImportError, match=message):
        OPTIMIZERS.build({"type": "Prodigy"}, default_args=parameters())


LIBRARY = """
import torch
class Lion(torch.optim.SGD):
    pass
"""


def test_optimizer_of_a_library_is_imported_at_first_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lion_pytorch.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "lion_pytorch", raising=False)

    optimizer = OPTIMIZERS.build({"type": "Lion", "lr": 0.1}, default_args=parameters())

    assert type(optimizer).__module__ == "lion_pytorch"
    monkeypatch.delitem(sys.modules, "lion_pytorch")


def test_registered_optimizer_goes_before_a_library_of_the_same_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # An earlier test of this process may have looked up that of the library.
    monkeypatch.delitem(OPTIMIZERS._module_dict, "Lion", raising=False)

    @OPTIMIZERS.register_module()
    class Lion(torch.optim.SGD):
        pass

    optimizer = OPTIMIZERS.build({"type": "Lion"}, default_args=parameters())

    assert type(optimizer) is Lion


def test_names_are_found_without_importing_any_library_of_optimizers(
    tmp_path: Path, scripts: "Scripts"
) -> None:
    (tmp_path / "find.py").write_text(
        "import sys; from engine_registry import OPTIMIZERS, OPTIM_WRAPPERS, PARAM_SCHEDULERS\n"
        "assert OPTIMIZERS.get('Adam') and OPTIMIZERS.get('Lion') and "
        "OPTIM_WRAPPERS.get('AmpOptimWrapper')\n"
        "assert PARAM_SCHEDULERS.get('PolyLR')\n"
        "names = {'bitsandbytes', 'schedulefree', 'dadaptation', 'lion_pytorch', 'prodigyopt'}\n"
        "sys.exit(bool(names & set(sys.modules)))"
    )

    done = scripts.run(tmp_path / "find.py", folder=tmp_path)

    assert done.returncode == 0, done.stdout


def test_schedule_free_optimizers_work_through_the_wrapper() -> None:
    pytest.importorskip("schedulefree")
    from engine_optim import build_optim_wrapper

    model = nn.Linear(2, 1)
    wrapper = build_optim_wrapper(model, {"optimizer": {"type": "SGDScheduleFree", "lr": 0.1}})

    wrapper.train()
    wrapper.update_params(model(torch.ones(3, 2)).square().mean())
    wrapper.eval()

    assert wrapper.get_lr() == {"lr": [0.1]}

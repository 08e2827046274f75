"""Optimizers by name."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine_optim import TORCH_OPTIMIZERS, build_optimizer
from engine_registry import OPTIMIZERS


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
    optimizer = build_optimizer({"type": kind, "lr": 0.5}, params=nn.Linear(1, 1).parameters())

    assert type(optimizer) is torch.optim.SGD
    assert optimizer.defaults["lr"] == 0.5


def test_optimizer_of_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prodigyopt", None)

    with pytest.raises(ImportError, match="pip install prodigyopt"):
        build_optimizer({"type": "Prodigy"}, params=[])


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

    optimizer = build_optimizer({"type": "Lion", "lr": 0.1}, params=nn.Linear(1, 1).parameters())

    assert type(optimizer).__module__ == "lion_pytorch"
    monkeypatch.delitem(sys.modules, "lion_pytorch")


def test_registered_optimizer_goes_before_a_library_of_the_same_name() -> None:
    @OPTIMIZERS.register_module()
    class Lion(torch.optim.SGD):
        pass

    try:
        optimizer = build_optimizer({"type": "Lion"}, params=nn.Linear(1, 1).parameters())
    finally:
        del OPTIMIZERS.module_dict["Lion"]

    assert type(optimizer) is Lion


def test_names_are_found_without_importing_any_library_of_optimizers() -> None:
    code = (
        "import sys; from engine_registry import OPTIMIZERS, OPTIM_WRAPPERS, PARAM_SCHEDULERS\n"
        "assert OPTIMIZERS.get('Adam') and OPTIM_WRAPPERS.get('AmpOptimWrapper')\n"
        "assert PARAM_SCHEDULERS.get('PolyLR')\n"
        "names = {'bitsandbytes', 'schedulefree', 'dadaptation', 'lion_pytorch', 'prodigyopt'}\n"
        "sys.exit(bool(names & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], timeout=300).returncode == 0


def test_schedule_free_optimizers_work_through_the_wrapper() -> None:
    pytest.importorskip("schedulefree")
    from engine_optim import build_optim_wrapper

    model = nn.Linear(2, 1)
    wrapper = build_optim_wrapper(model, {"optimizer": {"type": "SGDScheduleFree", "lr": 0.1}})

    wrapper.train()
    wrapper.update_params(model(torch.ones(3, 2)).square().mean())
    wrapper.eval()

    assert wrapper.get_lr() == {"lr": [0.1]}

"""Names of models, optimizers, visualization and analysis, by the paths that libraries use."""

import importlib
from typing import Any

import pytest
import torch
from torch import nn

from mmengine.analysis import FlopAnalyzer
from mmengine.analysis.jit_analysis import JitModelAnalysis
from mmengine.analysis.print_helper import _format_size
from mmengine.model.weight_init import trunc_normal_
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF, OptimizerType, _ParamScheduler

NAMES = {
    "mmengine.model.efficient_conv_bn_eval": "turn_on_efficient_conv_bn_eval",
    "mmengine.model.weight_init": "constant_init kaiming_init normal_init xavier_init",
    "mmengine.optim": "ApexOptimWrapper ZeroRedundancyOptimizer AmpOptimWrapper",
    "mmengine.optim.optimizer.zero_optimizer": "ZeroRedundancyOptimizer",
    "mmengine.optim.scheduler.momentum_scheduler": "MomentumSchedulerMixin",
    "mmengine.visualization": "DVCLiveVisBackend NeptuneVisBackend Visualizer",
    "mmengine.visualization.utils": "check_type check_type_and_length color_str2rgb "
    "color_val_matplotlib img_from_canvas tensor2ndarray value2list wait_continue",
    "mmengine.visualization.vis_backend": "force_init_env DVCLiveVisBackend NeptuneVisBackend",
}


@pytest.mark.parametrize("module", NAMES)
def test_names_are_where_libraries_import_them(module: str) -> None:
    imported = importlib.import_module(module)
    assert all(callable(getattr(imported, name)) for name in NAMES[module].split())


@pytest.mark.parametrize(
    ("count", "options", "text"),
    [
        (4089184256, {}, "4.089G"),
        (25557032, {"sig_figs": 1}, "25.6M"),
        (-1500, {}, "-1.500K"),
        (12, {}, "12"),
        (0, {"hide_zero": True}, ""),
    ],
)
def test_counts_are_formatted_with_a_unit(count: int, options: dict[str, Any], text: str) -> None:
    assert _format_size(count, **options) == text


def test_bases_are_those_of_our_classes() -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    weight = torch.empty(64)
    assert issubclass(FlopAnalyzer, JitModelAnalysis)
    assert issubclass(LRSchedulerMixin, _ParamScheduler)
    assert isinstance(optimizer, OptimizerType)
    assert _ParamScheduler.__init__.__defaults__[1] == INF  # type: ignore[index]  # of `end`
    assert trunc_normal_(weight, std=5, a=-1, b=1).abs().max() <= 1

"""Batch normalization that the convolution before it computes, in evaluation mode."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_model import turn_on_efficient_conv_bn_eval


class Shared(nn.Module):
    """The second layer reads the output of the convolution too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y + torch.as_tensor(self.norm(y))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(self.norm(self.conv(x)), self.norm(self.conv(2 * x)))


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) if x.sum() > 0 else x


def settled(net: nn.Module) -> Any:
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return net.eval()


def fused(net: nn.Module) -> list[str]:
    return [name for name, module in net.named_modules() if "forward" in vars(module)]


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)), (2, 2, 5, 5)),
        (nn.Sequential(nn.Conv2d(2, 4, 1, bias=False, groups=2), nn.BatchNorm2d(4)), (2, 2, 5, 5)),
        (nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4, affine=False)), (2, 2, 5)),
        (
            nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(4)),
            (2, 2, 5, 5),
        ),
    ],
    ids=["2d", "groups", "1d", "reflect"],
)
def test_outputs_and_gradients_stay_the_same(net: nn.Module, shape: tuple[int, ...]) -> None:
    net = settled(net).double()  # so that another order of sums is no difference
    plain, inputs = copy.deepcopy(net), torch.randn(shape, dtype=torch.float64)
    turn_on_efficient_conv_bn_eval(net, "")

    for one in (net, plain):
        one(inputs).square().sum().backward()

    assert fused(net) == ["0", "1"]
    torch.testing.assert_close(net(inputs), plain(inputs))
    torch.testing.assert_close(
        [p.grad for p in net.parameters()], [p.grad for p in plain.parameters()]
    )
    assert net.state_dict().keys() == plain.state_dict().keys()


def test_training_mode_runs_the_layers_themselves() -> None:
    net = settled(nn.Sequential(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4)))
    plain, inputs = copy.deepcopy(net).train(), torch.randn(2, 2, 5, 5)
    turn_on_efficient_conv_bn_eval(net, "")
    torch.testing.assert_close(net.train()(inputs), plain(inputs))
    torch.testing.assert_close(net[1].running_mean, plain[1].running_mean)


@pytest.mark.parametrize(
    "net",
    [
        Shared(),
        Twice(),
        nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.BatchNorm2d(2)),
        nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, track_running_stats=False)),
        nn.Sequential(nn.ConvTranspose2d(2, 2, 1), nn.BatchNorm2d(2)),
    ],
    ids=["shared output", "called twice", "not neighbors", "no statistics", "transposed"],
)
def test_other_layers_are_left_alone(net: nn.Module) -> None:
    turn_on_efficient_conv_bn_eval(net, "")
    assert fused(net) == []


def test_part_that_cannot_be_followed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    net = nn.ModuleDict({"odd": Branching(), "plain": nn.Sequential(nn.Conv2d(2, 2, 1))})
    net["plain"].append(nn.BatchNorm2d(2))  # type: ignore[operator]  # a Sequential
    turn_on_efficient_conv_bn_eval(net, ["odd", "plain"])
    assert fused(net) == ["plain.0", "plain.1"]
    assert "changes nothing in 'odd', whose code torch.fx cannot follow" in caplog.text
    with pytest.raises(AttributeError, match="neck"):
        turn_on_efficient_conv_bn_eval(net, "neck")


def test_copies_and_pickles_run_their_own_layers() -> None:
    net = settled(nn.Sequential(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4)))
    turn_on_efficient_conv_bn_eval(net, "")
    inputs = torch.randn(1, 2, 3, 3)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        torch.testing.assert_close(other(inputs), net(inputs))
        nn.init.zeros_(other[0].weight)
        nn.init.zeros_(other[1].weight)
        nn.init.zeros_(other[1].bias)
        assert not other(inputs).any()
        assert net(inputs).any()

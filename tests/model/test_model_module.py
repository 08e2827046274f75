"""BaseModule: the order of initialization, and the init log."""

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from engine_model import BaseModule, ModuleDict, ModuleList, Sequential, update_init_info

Log = Callable[[], list[str]]

XAVIER = "XavierInit: gain=1, distribution=normal, bias=0"
KAIMING = "KaimingInit: a=0, mode=fan_out, nonlinearity=relu, distribution =normal, bias=0"


class Net(BaseModule):
    def __init__(self, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.linear = nn.Linear(1, 1)
        self.conv = nn.Conv2d(1, 1, 1)


class TwoConvs(BaseModule):
    def __init__(self, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.conv1 = nn.Conv2d(1, 1, 1)
        self.conv2 = nn.Conv2d(1, 1, 1)


class Custom(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.custom_weight = nn.Parameter(torch.zeros(1, 1))

    def init_weights(self) -> None:
        with torch.no_grad():
            # fill_ returns the parameter itself
            self.custom_weight = self.custom_weight.fill_(1)  # type: ignore[assignment]


def constant(value: float, **more: Any) -> dict[str, Any]:
    return {"type": "Constant", "layer": "Linear", "val": value, **more}


def test_base_module_copies_its_config() -> None:
    cfg = constant(1)
    module = Net(cfg)
    assert module.init_cfg == cfg
    assert module.init_cfg is not cfg


def test_init_weights_runs_each_config_on_its_layers(init_log: Log) -> None:
    net = Net([{"type": "Kaiming", "layer": "Conv2d"}, {"type": "Xavier", "layer": "Linear"}])
    net.init_weights()
    assert init_log() == [
        f"\nlinear.weight - torch.Size([1, 1]): \n{XAVIER} \n",
        f"\nlinear.bias - torch.Size([1]): \n{XAVIER} \n",
        f"\nconv.weight - torch.Size([1, 1, 1, 1]): \n{KAIMING} \n",
        f"\nconv.bias - torch.Size([1]): \n{KAIMING} \n",
    ]


def test_init_weights_takes_a_list_of_layers(init_log: Log) -> None:
    Net({"type": "Kaiming", "layer": ["Conv2d", "Linear"]}).init_weights()
    assert all(KAIMING in line for line in init_log())


def test_override_shows_only_where_values_changed(init_log: Log) -> None:
    override = {"name": "conv2", "type": "Xavier"}
    TwoConvs([{"type": "Kaiming", "layer": ["Conv2d"], "override": override}]).init_weights()
    shown = {line.split(" - ")[0].strip(): line.split("\n")[2].strip() for line in init_log()}
    assert shown == {
        "conv1.weight": KAIMING,
        "conv1.bias": KAIMING,
        "conv2.weight": XAVIER,
        "conv2.bias": KAIMING,
    }


def test_log_names_user_defined_initialization(init_log: Log) -> None:
    net = Net(constant(2))
    net.custom = Custom()
    net.init_weights()
    assert init_log()[-1] == (
        "\ncustom.custom_weight - torch.Size([1, 1]): \n"
        "Initialized by user-defined `init_weights` in Custom  \n"
    )
    assert net.custom.custom_weight.item() == 1


def test_log_shows_unchanged_parameters(init_log: Log) -> None:
    Net(constant(2)).init_weights()
    assert "The value is the same before and after calling `init_weights` of Net" in init_log()[2]


def test_log_detects_a_change_among_nan_values(init_log: Log) -> None:
    class Row(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.full((1000, 2), torch.nan))

        def init_weights(self) -> None:
            nn.init.ones_(self.table)

    net = BaseModule()
    net.row = Row()
    net.init_weights()
    assert "Row" in init_log()[0]


@pytest.mark.parametrize(
    "wrap",
    [lambda m: m, Sequential, lambda m: ModuleDict({"a": ModuleList([m])})],
    ids=["child", "sequential", "nested"],
)
def test_children_are_initialized_after_the_config_of_their_parent(
    wrap: Callable[[Any], Any],
) -> None:
    child = Net(constant(5))
    parent = Net(constant(2))
    parent.child = wrap(child)
    parent.init_weights()
    assert parent.linear.weight.item() == 2
    assert child.linear.weight.item() == 5
    assert child.is_init


@pytest.mark.parametrize(
    ("wrap", "place"),
    [
        (lambda m: nn.Sequential(m), "child.0, whose init_cfg does nothing: .* the Sequential"),
        (lambda m: nn.ModuleDict({"a": nn.ModuleList([m])}), "child.a.0, .* the ModuleList"),
        (
            lambda m: nn.ModuleList([m, *(Net(constant(3)) for _ in range(4))]),
            "child.0, child.1, child.2 and 2 more, .* the ModuleList",
        ),
    ],
    ids=["sequential", "nested", "many"],
)
def test_modules_in_plain_containers_are_left_out_with_one_warning(
    wrap: Callable[[Any], Any], place: str, caplog: pytest.LogCaptureFixture
) -> None:
    child = Net(constant(5))
    child.part = nn.ModuleList([Net(constant(7))])
    parent = Net({"type": "Constant", "layer": "Conv2d", "val": 2})
    parent.child = wrap(child)
    before = child.linear.weight.item()

    parent.init_weights()

    assert child.linear.weight.item() == before
    assert not child.is_init
    (warning,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert re.match(f"init_weights of Net leaves out {place} around has no init_weights", warning)


def test_modules_that_a_parent_initializes_itself_are_not_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Parent(Net):
        def init_weights(self) -> None:
            super().init_weights()
            part.init_weights()

    class Reader(Net):  # as backbones that read their init_cfg themselves
        def init_weights(self) -> None:
            nn.init.constant_(self.linear.weight, 4)

    part = Net(constant(5))
    root = BaseModule()
    root.parent = Parent()
    root.parent.parts = nn.ModuleList([part])
    root.reader = Reader(constant(1))
    root.init_weights()

    assert part.linear.weight.item() == 5
    assert root.reader.linear.weight.item() == 4
    assert not [one for one in caplog.records if one.levelname == "WARNING"]


def test_is_init_can_be_set_to_initialize_again() -> None:
    net = Net(constant(2))
    net.init_weights()
    nn.init.constant_(net.linear.weight, 9)
    net.is_init = False
    net.init_weights()
    assert net.linear.weight.item() == 2


def test_subclass_may_write_the_record_itself(init_log: Log) -> None:
    class Quiet(Net):
        def _dump_init_info(self) -> None:
            written.append(len(vars(self)["_params_init_info"]))

    written: list[int] = []
    parent = Quiet(constant(2))
    parent.child = Quiet(constant(3))
    parent.init_weights()
    assert written == [8]
    assert init_log() == []
    with pytest.raises(AttributeError, match="so call _dump_init_info from an initializer"):
        Net()._dump_init_info()


def test_init_weights_a_second_time_warns_and_does_nothing(init_log: Log) -> None:
    net = Net(constant(2))
    assert not net.is_init
    net.init_weights()
    assert net.is_init
    nn.init.constant_(net.linear.weight, 9)
    net.init_weights()
    assert net.linear.weight.item() == 9
    assert "Net has been called more than once" in init_log()[-1]


def test_record_exists_only_while_init_weights_runs() -> None:
    class Watching(nn.Module):
        def init_weights(self) -> None:
            self.seen = dict(vars(self)["_params_init_info"])

    net = Net()
    net.watching = Watching()
    net.init_weights()
    assert set(net.watching.seen) == set(net.parameters())
    assert not any(hasattr(module, "_params_init_info") for module in net.modules())


def test_record_is_removed_when_an_initialization_fails() -> None:
    class Failing(nn.Module):
        def init_weights(self) -> None:
            raise RuntimeError("no")

    net = Net()
    net.failing = Failing()
    with pytest.raises(RuntimeError, match="no"):
        net.init_weights()
    assert not hasattr(net.linear, "_params_init_info")
    assert not net.is_init


def test_update_init_info_outside_init_weights_raises() -> None:
    with pytest.raises(AttributeError, match="exists only while"):
        update_init_info(nn.Linear(1, 1), "by hand")


def test_parameters_without_values_are_initialized_on_meta(init_log: Log) -> None:
    with torch.device("meta"):
        net = Net(constant(2))
    net.init_weights()
    assert "ConstantInit: val=2, bias=0" in init_log()[0]


def test_complex_parameters_are_recorded(init_log: Log) -> None:
    net = BaseModule()
    net.phase = nn.Parameter(torch.zeros(2, dtype=torch.complex64))
    net.init_weights()
    assert init_log()[0].startswith("\nphase - torch.Size([2])")


@pytest.mark.parametrize(
    ("made", "plain"),
    [
        (Sequential(nn.Linear(1, 1), init_cfg=constant(3)), nn.Sequential),
        (ModuleList([nn.Linear(1, 1)], init_cfg=constant(3)), nn.ModuleList),
        (ModuleDict({"a": nn.Linear(1, 1)}, init_cfg=constant(3)), nn.ModuleDict),
        (ModuleDict([("a", nn.Linear(1, 1))], init_cfg=constant(3)), nn.ModuleDict),
    ],
    ids=["sequential", "list", "dict", "pairs"],
)
def test_containers_have_a_config_of_their_own(made: BaseModule, plain: type[nn.Module]) -> None:
    made = copy.deepcopy(made)
    parent = Net(constant(2))
    parent.part = made
    parent.init_weights()
    assert isinstance(made, plain)
    assert next(made.parameters()).item() == 3
    assert "init_cfg={'type': 'Constant'" in repr(made)


def test_modules_can_be_pickled() -> None:
    loaded = pickle.loads(pickle.dumps(Sequential(nn.Linear(1, 1), init_cfg=constant(3))))
    assert loaded.init_cfg == constant(3)


def test_the_report_is_for_the_log_file_alone(
    init_log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    Net(constant(2)).init_weights()
    assert len(init_log()) == 4
    assert all(record.__dict__["file_only"] for record in caplog.records)

"""Tensors among the scalars: kept as they are, and read together."""

import io
import subprocess
import sys
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")

from engine_logging import HistoryBuffer, MessageHub  # noqa: E402 - torch may be missing
from engine_logging import _tensors as tensors  # noqa: E402


def test_tensor_is_read_at_the_next_statistic() -> None:
    buffer = HistoryBuffer()
    value = torch.tensor(1.5)
    buffer.update(value)
    buffer.update(torch.tensor([[2]]), torch.tensor(3))
    assert buffer._waiting[0] is value
    assert buffer.mean() == 3.5 / 4
    assert buffer.data[1].tolist() == [1, 3]
    assert buffer._waiting == []


def test_tensor_does_not_keep_its_graph() -> None:
    buffer = HistoryBuffer()
    leaf = torch.ones(1, requires_grad=True)
    loss = (leaf * 2).sum()
    buffer.update(loss)
    assert loss.grad_fn is not None
    assert buffer._waiting[0].grad_fn is None
    assert buffer.current() == 2


def test_tensor_of_many_elements_raises() -> None:
    with pytest.raises(ValueError, match=r"got shape \(2,\); reduce it"):
        HistoryBuffer().update(torch.zeros(2))


def test_number_of_waiting_tensors_is_bounded() -> None:
    buffer = HistoryBuffer()
    for number in range(3000):
        buffer.update(torch.tensor(number))
    assert len(buffer._waiting) <= 1024
    assert buffer.data[0].tolist() == list(range(3000))


@pytest.fixture
def device() -> str:
    if not torch.accelerator.is_available():
        pytest.skip("needs an accelerator")
    return str(torch.accelerator.current_accelerator().type)


def test_tensors_of_all_scalars_are_read_in_one_transfer(device: str) -> None:
    hub = MessageHub("task")
    for number in range(10):
        hub.update_scalar("loss", torch.tensor(number / 2, device=device))
        hub.update_scalar("count", torch.tensor(2**40 + number, device=device))
        hub.update_scalar("half", torch.tensor(number, dtype=torch.bfloat16, device=device))
        hub.update_scalar("plain", number)
    with torch.profiler.profile(acc_events=True) as profile:
        assert hub.get_scalar("loss").mean() == 2.25
    copies = [event for event in profile.events() if "Memcpy DtoH" in event.name]
    assert len(copies) <= 1
    waiting = [value for buffer in hub.log_scalars.values() for value in buffer._waiting]
    assert not any(isinstance(value, torch.Tensor) for value in waiting)
    assert hub.get_scalar("count").current() == 2**40 + 9


def test_stacked_tensors_keep_their_numbers() -> None:
    """Test the path of accelerators with tensors that report not to be on the CPU."""

    class Away(torch.Tensor):  # type: ignore[misc]  # Any, as torch may be missing
        is_cpu = False

    values = [
        torch.tensor(1.5).as_subclass(Away),
        2.5,
        torch.tensor([2**40 + 1]).as_subclass(Away),
        torch.tensor(0.5, dtype=torch.bfloat16).as_subclass(Away),
        torch.tensor(3.5),
    ]
    assert tensors.read_tensors(values) == [1.5, 2.5, 2**40 + 1, 0.5, 3.5]
    assert tensors.read_tensors(values[:2]) == [1.5, 2.5]


def test_hub_reads_waiting_tensors_of_every_scalar_at_once() -> None:
    hub = MessageHub("task")
    for key in ("a", "b", "c"):
        hub.update_scalar(key, torch.tensor(1.0))
    assert hub.get_scalar("a").current() == 1
    assert [hub.get_scalar(key)._waiting for key in "abc"] == [[1.0], [1.0], [1.0]]
    assert [len(hub.get_scalar(key)) for key in "abc"] == [1, 1, 1]


def test_state_loads_with_weights_only() -> None:
    hub = MessageHub("task")
    hub.update_scalar("loss", torch.tensor(1.5))
    hub.update_info("anchor", torch.ones(2, requires_grad=True))
    file = io.BytesIO()
    torch.save(hub.state_dict(), file)
    file.seek(0)
    other = MessageHub("other")
    other.load_state_dict(torch.load(file, weights_only=True))
    assert other.get_scalar("loss").current() == 1.5
    assert other.get_info("anchor").tolist() == [1, 1]


def test_logging_is_imported_without_torch() -> None:
    script = (
        "import sys, engine_logging as log; hub = log.MessageHub.get_instance('a'); "
        "hub.update_scalar('x', 1.0); hub.get_scalar('x').mean(); hub.state_dict(); "
        "log.MMLogger.get_current_instance().info('x'); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_recent_reads_waiting_tensors_once() -> None:
    history = HistoryBuffer([1.0], [1])
    for value in (2.5, 3.5):
        history.update(torch.tensor(value))
    assert history.recent(2) == [2.5, 3.5]
    assert history._waiting[-2:] == [2.5, 3.5]
    assert history.recent(3) == [1.0, 2.5, 3.5]

"""Operations counted while a pass runs that happens anyway."""

from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from engine_model.analysis import can_observe, measure_cost, observe_flops


class Block(nn.Module):
    """A layer of each kind, with a transformer layer, an LSTM and two calls of one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.GroupNorm(2, 8))
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.lstm = nn.LSTM(8, 8, bidirectional=True, batch_first=True)
        self.head = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.encoder(self.conv(x).flatten(2).transpose(1, 2))
        scores: Tensor = self.head(self.head(self.lstm(tokens)[0]))
        return scores


def _measured(model: nn.Module, x: Tensor) -> Counter[str]:
    return Counter({row.name: row.flops for row in measure_cost(model, x).modules})


def test_observed_flops_equal_the_measured_cost() -> None:
    model, x = Block(), torch.rand(2, 3, 6, 6)
    found: list[Counter[str]] = []

    observe_flops(model, found.append)
    model(x).sum().backward()
    model(x)

    assert found == [_measured(model, x)]


def _observed(model: nn.Module, *args: Tensor, **kwargs: Tensor) -> Counter[str]:
    found: list[Counter[str]] = []
    observe_flops(model, found.append)
    with torch.no_grad():
        model(*args, **kwargs)
    return found[0]


class Fused(nn.Module):
    """An encoder layer as one operator, which torch runs where no module in it has hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        layer, attention = self.layer, self.layer.self_attn
        outputs: Tensor = torch._transformer_encoder_layer_fwd(
            *(x, 8, 2, attention.in_proj_weight, attention.in_proj_bias),
            *(attention.out_proj.weight, attention.out_proj.bias, False, False, 1e-5),
            *(layer.norm1.weight, layer.norm1.bias, layer.norm2.weight, layer.norm2.bias),
            *(layer.linear1.weight, layer.linear1.bias, layer.linear2.weight, layer.linear2.bias),
        )
        return outputs


def test_fused_layer_without_gradients_is_counted() -> None:
    model, x = Fused().eval(), torch.rand(2, 5, 8)

    assert torch.allclose(model(x), model.layer(x), atol=1e-6)
    assert _observed(model, x)[""] == _measured(model.layer, x)[""] > 0


class Attend(nn.Module):
    """An attention of its input with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.attention(x, x, x)[0]
        return outputs


def test_fused_attention_without_gradients_is_counted() -> None:
    model, x = Attend().eval(), torch.rand(2, 5, 8)

    assert _observed(model, x)[""] == _measured(model, x)[""] > 0


@pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning")
def test_fused_layers_on_padded_batches_count_the_tokens_of_the_mask() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    x = torch.rand(2, 5, 8)
    padding = torch.arange(5) >= torch.tensor([[5], [3]])  # 8 tokens of 10

    counts = _observed(model, x, src_key_padding_mask=padding)

    attention = 2 * 2 * 2 * 5 * 5 * 8 * 2  # two operations, layers, samples, pairs, width, products
    per_token = 2 * 2 * (4 * 8 * 8 + 2 * 8 * 16)
    assert counts[""] == 8 * per_token + attention
    assert _measured(model, x)[""] == 10 * per_token + attention


def test_observed_passes_are_equal_to_others() -> None:
    gradients, states = [], []
    for observed in (False, True):
        torch.manual_seed(0)
        model = Block()
        if observed:
            observe_flops(model, lambda counts: None)
        model(torch.rand(2, 3, 6, 6)).square().sum().backward()
        gradients.append([param.grad for param in model.parameters()])
        states.append([*model.buffers(), torch.get_rng_state()])

    assert all(map(torch.equal, *gradients))
    assert all(map(torch.equal, *states))


def test_observed_pass_that_raises_leaves_no_hooks() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    found: list[Counter[str]] = []
    observe_flops(model, found.append)

    with pytest.raises(RuntimeError):
        model(torch.zeros(1, 3))

    assert not found
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert not is_in_torch_dispatch_mode()


@pytest.mark.parametrize("stopped", [True, False])
def test_observation_stops_on_request(stopped: bool) -> None:
    model = nn.Linear(2, 2)
    found: list[Counter[str]] = []
    stop = observe_flops(model, found.append)
    if stopped:
        stop()

    model(torch.zeros(1, 2))

    assert len(found) == (not stopped)


@pytest.fixture
def no_compiled_functions() -> Iterator[None]:
    """Let no function be compiled, as in a fresh process."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.usefixtures("no_compiled_functions")
def test_compiled_models_are_not_observed() -> None:
    model = nn.Sequential(nn.Linear(2, 2))

    assert can_observe(model)
    model[0].compile(backend="eager")
    assert not can_observe(model)


@pytest.mark.usefixtures("no_compiled_functions")
def test_models_with_compiled_functions_are_not_observed() -> None:
    assert can_observe(nn.Linear(1, 1))

    torch.compile(lambda x: x + 1, backend="eager")(torch.zeros(1))

    assert not can_observe(nn.Linear(1, 1))


@pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged], ids=["strided", "jagged"])
def test_passes_on_nested_tensors_are_counted(layout: torch.layout) -> None:
    """Parts of a composite operator ask for sizes, at which such a pass ended with an error."""
    samples = [torch.randn(2, 6), torch.randn(4, 6)]
    nested = torch.nested.nested_tensor(samples, layout=layout)
    model = nn.Sequential(nn.Linear(6, 3))
    found: list[Counter[str]] = []
    observe_flops(model, found.append)
    model(nested)
    assert found == [_measured(model, torch.randn(6, 6))]

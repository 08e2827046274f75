"""The floating-point operations of operators, by their names.

The handles of `FlopAnalyzer` take a multiplication with an addition as one operation, as many
papers do. What this package and the runner report themselves takes it as two. Additions of a bias
are left out.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import prod

from engine_model.analysis._einsum import einsum_flops
from engine_model.analysis._values import OpValue

Handle = Callable[[list[OpValue], list[OpValue]], int | float | Mapping[str, float]]
"""Count one call of an operator from its inputs and outputs.

The count is a number, or several by name.
"""

Values = Sequence[OpValue]
Count = Callable[[Values, Values], int]


def output_elements(inputs: Values, outputs: Values) -> int:
    """Return the number of elements of the first output."""
    return outputs[0].elements


def _shape(value: OpValue) -> tuple[int, ...]:
    return value.shape or ()


def _convolution(inputs: Values, outputs: Values) -> int:
    # Each position of the output, of the input for a transposed convolution, uses each weight once.
    transposed = bool(inputs[6].value)
    positions = _shape(inputs[0] if transposed else outputs[0])[2:]
    return _shape(inputs[0])[0] * prod(positions) * inputs[1].elements


def _linear(inputs: Values, outputs: Values) -> int:
    return outputs[0].elements * _shape(inputs[1])[-1]


def _matmul(inputs: Values, outputs: Values) -> int:
    return outputs[0].elements * _shape(inputs[0])[-1]


def _added_product(inputs: Values, outputs: Values) -> int:
    """Count ``bias + a @ b``."""
    return outputs[0].elements * _shape(inputs[1])[-1]


def _summed_product(inputs: Values, outputs: Values) -> int:
    """Count ``bias + sum_i(a[i] @ b[i])``."""
    return inputs[1].elements * _shape(inputs[2])[-1]


def _attention(inputs: Values, outputs: Values) -> int:
    # Query with key, and weights with value, for each head of the query.
    *heads, queries, width = _shape(inputs[0])
    keys, value_width = _shape(inputs[2])[-2:]
    return prod(heads) * queries * keys * (width + value_width)


def _self_attention(inputs: Values, qkv_weight: OpValue, out_weight: OpValue) -> int:
    """Count a fused attention of a batch ``(N, L, C)`` with itself, and its two projections."""
    # The fused operators pad nested tensors for the attention, as a batch is padded.
    lengths = inputs[0].lengths
    *samples, length, width = _shape(inputs[0])
    count = len(lengths) if lengths else prod(samples)
    most = max(lengths, default=length)
    tokens = inputs[0].elements // width
    projections = tokens * (qkv_weight.elements + out_weight.elements)
    return projections + count * most * most * 2 * width


def _multi_head_attention(inputs: Values, outputs: Values) -> int:
    return _self_attention(inputs, inputs[5], inputs[7])


def _transformer_layer(inputs: Values, outputs: Values) -> int:
    """Count attention and the two linear layers of a fused encoder layer."""
    tokens = inputs[0].elements // _shape(inputs[0])[-1]
    feed_forward = tokens * (inputs[14].elements + inputs[16].elements)
    return _self_attention(inputs, inputs[3], inputs[5]) + feed_forward


def _recurrent(inputs: Values, outputs: Values) -> int:
    # Each step of each sample uses each weight matrix once. ``data``, then ``batch_sizes``, is the
    # packed form with one row per step and sample; a batch has two dimensions before the features.
    steps = prod(_shape(inputs[0])[:-1])
    weights = [value.values for value in inputs if value.values][-1]  # after the first states
    return steps * sum(weight.elements for weight in weights if len(_shape(weight)) == 2)


def _recurrent_layer(inputs: Values, outputs: Values) -> int:
    """Count one layer in one direction: its input, then both weight matrices."""
    return prod(_shape(inputs[0])[:-1]) * (inputs[1].elements + inputs[2].elements)


def _norm(inputs: Values, affine: OpValue) -> int:
    # Mean, deviation, square, scale: four operations an element, and one for the weights.
    return inputs[0].elements * (5 if affine.shape is not None else 4)


def _batch_norm(inputs: Values, outputs: Values) -> int:
    if inputs[5].value:
        return _norm(inputs, inputs[1])
    return inputs[0].elements * (2 if inputs[1].shape is not None else 1)


def _per_input(count: int) -> Handle:
    return lambda inputs, outputs: count * inputs[0].elements


def _per_output(count: int) -> Handle:
    return lambda inputs, outputs: count * outputs[0].elements


# One multiplication with an addition is one.
_PRODUCTS: Mapping[str, Count] = {
    "aten::_convolution": _convolution,
    "aten::linear": _linear,
    "aten::matmul": _matmul,
    "aten::mm": _matmul,
    "aten::bmm": _matmul,
    "aten::mv": _matmul,
    "aten::dot": lambda inputs, outputs: inputs[0].elements,
    "aten::addmm": _added_product,
    "aten::addmv": _added_product,
    "aten::baddbmm": _added_product,
    "aten::addbmm": _summed_product,
    "aten::einsum": lambda inputs, outputs: einsum_flops(
        inputs[0].value, [_shape(value) for value in inputs[1].values], inputs[2].value
    ),
    "aten::scaled_dot_product_attention": _attention,
    "aten::lstm": _recurrent,
    "aten::gru": _recurrent,
    "aten::rnn_tanh": _recurrent,
    "aten::rnn_relu": _recurrent,
}

FLOPS: Mapping[str, Handle] = {
    **_PRODUCTS,
    "aten::batch_norm": _batch_norm,
    "aten::instance_norm": lambda inputs, outputs: _norm(inputs, inputs[1]),
    "aten::layer_norm": lambda inputs, outputs: _norm(inputs, inputs[2]),
    "aten::group_norm": lambda inputs, outputs: _norm(inputs, inputs[2]),
    "aten::rms_norm": lambda inputs, outputs: _norm(inputs, inputs[2]) - inputs[0].elements,
    "aten::adaptive_avg_pool1d": _per_input(1),
    "aten::adaptive_avg_pool2d": _per_input(1),
    "aten::adaptive_avg_pool3d": _per_input(1),
    "aten::grid_sampler": _per_output(4),
    "aten::upsample_nearest2d": _per_output(1),
    "aten::upsample_bilinear2d": _per_output(4),
}
"""The handles of `FlopAnalyzer`."""

ACTIVATIONS: Mapping[str, Handle] = dict.fromkeys(_PRODUCTS, output_elements)
"""The handles of `ActivationAnalyzer`: the outputs of convolutions and products of matrices."""


def _twice(count: Count) -> Handle:
    return lambda inputs, outputs: 2 * count(inputs, outputs)


_KERNELS: Mapping[str, Count] = {
    "aten::_addmm_activation": _added_product,
    "aten::_scaled_dot_product_cudnn_attention": _attention,
    "aten::_scaled_dot_product_efficient_attention": _attention,
    "aten::_scaled_dot_product_flash_attention": _attention,
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attention,
    "aten::_scaled_dot_product_fused_attention_overrideable": _attention,
    "aten::_native_multi_head_attention": _multi_head_attention,
    "aten::_transformer_encoder_layer_fwd": _transformer_layer,
    "aten::_cudnn_rnn": _recurrent,
    "aten::miopen_rnn": _recurrent,
    "aten::mkldnn_rnn_layer": _recurrent_layer,
}

PRODUCTS: Mapping[str, Handle] = {
    name: _twice(count) for name, count in {**_PRODUCTS, **_KERNELS}.items()
}
"""The handles of what this package reports: products of matrices, convolutions and attention, with
a multiplication and an addition as two operations, as in the peaks of devices and in
`torch.utils.flop_counter`. Autograd splits composite operators, and without gradients torch fuses
the layers of transformers, so kernels have handles, too."""

FREE = frozenset(
    {
        "_local_scalar_dense",
        "_to_copy",
        "_unsafe_view",
        "alias",
        "arange",
        "argmax",
        "argmin",
        "argsort",
        "bernoulli",
        "bitwise_and",
        "bitwise_not",
        "bitwise_or",
        "bitwise_xor",
        "bucketize",
        "cat",
        "clamp",
        "clamp_max",
        "clamp_min",
        "clone",
        "constant_pad_nd",
        "contiguous",
        "copy",
        "dropout",
        "embedding",
        "empty_like",
        "eq",
        "equal",
        "feature_dropout",
        "fill",
        "flip",
        "full_like",
        "gather",
        "ge",
        "gt",
        "index",
        "index_put",
        "index_select",
        "is_nonzero",
        "isfinite",
        "isinf",
        "isnan",
        "item",
        "le",
        "lift_fresh",
        "logical_and",
        "logical_not",
        "logical_or",
        "lt",
        "masked_fill",
        "masked_scatter",
        "masked_select",
        "maximum",
        "minimum",
        "narrow",
        "native_dropout",
        "ne",
        "new_empty",
        "new_full",
        "new_ones",
        "new_zeros",
        "nonzero",
        "one_hot",
        "ones_like",
        "pad",
        "pixel_shuffle",
        "pixel_unshuffle",
        "rand_like",
        "randn_like",
        "reflection_pad1d",
        "reflection_pad2d",
        "reflection_pad3d",
        "relu",
        "repeat",
        "repeat_interleave",
        "replication_pad1d",
        "replication_pad2d",
        "replication_pad3d",
        "resize",
        "roll",
        "scatter",
        "select_scatter",
        "sign",
        "slice_scatter",
        "sort",
        "split_with_sizes",
        "stack",
        "to",
        "topk",
        "tril",
        "triu",
        "unbind",
        "unfold",
        "where",
        "zero",
        "zeros_like",
    }
)
"""Operators that move, compare or choose values, by their names in ``aten``: they do not count."""


def named_count(
    handle: Handle, name: str, inputs: list[OpValue], outputs: list[OpValue]
) -> Counter[str]:
    """Return what a handle counts, by name.

    Args:
        handle: The handle.
        name: The name of a count that is a number.
        inputs: The inputs of the operator.
        outputs: Its outputs.
    """
    count = handle(inputs, outputs)
    return Counter(dict(count) if isinstance(count, Mapping) else {name: count})

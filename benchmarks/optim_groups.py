"""Measure the cost per step of one group per parameter, and the gain of merging equal groups.

Options by parameter (here: no decay of norms) put each parameter in a group of its own, and a
``foreach`` or ``fused`` optimizer works on one group at a time.

    python benchmarks/optim_groups.py
"""

import time
from typing import Any

import torch
from torch import nn

from engine_optim import OptimWrapper, build_optim_wrapper

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ROUNDS, STEPS = 12, 20


def network() -> nn.Sequential:
    """Return a network of many small layers: 200 parameters."""
    layers = [nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.GELU()) for _ in range(50)]
    return nn.Sequential(*layers).to(DEVICE)


def prepare(paramwise: dict[str, Any] | None, **options: Any) -> OptimWrapper:
    """Return a wrapper whose parameters have gradients."""
    model = network()
    cfg = {
        "optimizer": {"type": "AdamW", "lr": 1e-4, "weight_decay": 0.05, **options},
        "paramwise_cfg": paramwise,
    }
    wrapper = build_optim_wrapper(model, cfg)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    return wrapper


def measure(wrapper: OptimWrapper) -> float:
    """Return the time of a step in milliseconds."""
    wrapper.step()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(STEPS):
        wrapper.step()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / STEPS * 1e3


def main() -> None:
    """Print the least time of a step in each layout, and the ratio to one group."""
    torch.set_num_threads(1)
    no_decay = {"norm_decay_mult": 0.0, "bias_decay_mult": 0.0}
    for label, options in (("foreach", {"foreach": True}), ("fused", {"fused": True})):
        layouts = {
            "one group, no options": prepare(None, **options),
            "one group each": prepare(no_decay, **options),
            "equal groups merged": prepare({**no_decay, "merge_equal": True}, **options),
        }
        times = dict.fromkeys(layouts, float("inf"))
        for _ in range(ROUNDS):
            for name, wrapper in layouts.items():
                times[name] = min(times[name], measure(wrapper))
        base = times["one group, no options"]
        print(f"AdamW, {label}, on {DEVICE}")
        for name, wrapper in layouts.items():
            groups = len(wrapper.param_groups)
            row = f"  {name:24s} {groups:4d} groups  {times[name]:7.3f} ms"
            print(f"{row}  ratio {times[name] / base:.2f}")


if __name__ == "__main__":
    main()

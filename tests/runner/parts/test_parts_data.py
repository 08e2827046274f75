"""Functions of a data loader that its config names."""

from typing import Any

import pytest
from torch.utils.data import default_collate

from engine_registry import COLLATE_FUNCTIONS, FUNCTIONS, NotRegisteredError, Registry
from engine_runner import Runner

LOADER = {
    "dataset": [0, 1],
    "sampler": {"type": "DefaultSampler", "shuffle": False},
    "batch_size": 2,
}


@pytest.mark.parametrize(
    ("key", "name", "meant"),
    [
        ("collate_fn", "default_colate", "default_collate"),
        ("collate_fn", "engine.pseudo_colate", "pseudo_collate"),
        ("worker_init_fn", "default_colate", "default_collate"),
    ],
)
def test_unknown_function_of_a_loader_raises_with_the_nearest_name(
    key: str, name: str, meant: str
) -> None:
    with pytest.raises(NotRegisteredError) as raised:
        Runner.build_dataloader({**LOADER, key: {"type": name}})

    message = str(raised.value)
    assert message.startswith(f"dataloader.{key}: {name!r} is not in ")
    assert f"did you mean {meant!r}" in message


@pytest.mark.parametrize("registry", [FUNCTIONS, COLLATE_FUNCTIONS], ids=["new", "old"])
def test_functions_of_a_loader_are_found_in_one_registry_of_two_names(registry: Registry) -> None:
    @registry.register_module(force=True)
    def first_of(batch: list[Any]) -> Any:
        return batch[0]

    @registry.register_module(force=True)
    def count_worker(worker_id: int, **given: Any) -> None: ...

    parts = {"collate_fn": {"type": "first_of"}, "worker_init_fn": {"type": "count_worker"}}
    loader: Any = Runner.build_dataloader({**LOADER, **parts})
    assert loader.collate_fn is first_of
    assert loader.worker_init_fn.func is count_worker


@pytest.mark.parametrize(
    "kind",
    ["default_collate", "torch.utils.data.default_collate", default_collate],
    ids=["name", "dotted path", "function"],
)
def test_function_of_a_loader_may_be_a_name_a_path_or_itself(kind: Any) -> None:
    loader = Runner.build_dataloader({**LOADER, "collate_fn": {"type": kind}})

    assert loader.collate_fn.__name__ == "default_collate"

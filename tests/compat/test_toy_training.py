"""The toy library trains with its own tool and configs, on one and two ranks, and resumes."""

import json
import re
from typing import TYPE_CHECKING

import pytest
import torch

from mmengine.config import Config

if TYPE_CHECKING:
    from tests.compat.conftest import Toy

pytestmark = pytest.mark.slow


def _differing(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> list[str]:
    assert left.keys() == right.keys()
    return [name for name in left if not torch.equal(left[name], right[name])]


def test_train_tool_leaves_what_libraries_read(toy: "Toy") -> None:
    output = toy.output("train")

    folder = toy.folder / "work_dirs" / "toynet_4e_shapes"
    assert {file.name for file in folder.glob("*.pth")} >= {f"epoch_{n}.pth" for n in range(1, 5)}
    assert (folder / "last_checkpoint").read_text().strip().endswith("epoch_4.pth")
    assert re.search(r"Epoch\(train\) +\[4\]\[8/9\] +lr: 2\.5000e-04 .* loss: \d", output)
    assert re.search(r"Epoch\(val\) \[4\]\[5/5\] .*accuracy/diagonal_top1: ", output)
    [run] = folder.glob("2*_*")
    assert (run / f"{run.name}.log").is_file()
    records = (run / "vis_data" / f"{run.name}.json").read_text()
    assert records == (run / "vis_data" / "scalars.json").read_text()
    dumped = Config.fromfile(folder / "toynet_4e_shapes.py")
    assert dumped.train_dataloader.dataset.type == "ShapesDataset"


def test_checkpoint_has_the_meta_that_inference_reads(toy: "Toy") -> None:
    toy.output("train")

    path = toy.folder / "work_dirs" / "toynet_4e_shapes" / "epoch_4.pth"
    checkpoint = torch.load(path, map_location="cpu", weights_only=False)

    meta = checkpoint["meta"]
    assert tuple(meta["dataset_meta"]["classes"]) == ("horizontal", "vertical", "diagonal")
    assert meta["mmengine_version"]
    assert (meta["epoch"], meta["iter"]) == (4, 36)
    assert checkpoint["num_samples"] == 288  # of the library's hook


@pytest.mark.parametrize(
    ("by_hand_of", "run", "count"),
    [("by_hand", "text", 36), ("two_by_hand", "two", 20)],
    ids=["one-rank", "two-ranks"],
)
def test_training_equals_the_same_by_hand(
    toy: "Toy", by_hand_of: str, run: str, count: int
) -> None:
    toy.output(by_hand_of)
    by_hand = torch.load(toy.folder / f"{by_hand_of}.pt")

    losses, weights = toy.losses(run), toy.weights(run)

    assert losses == [(step["loss"], step["lr"]) for step in by_hand["steps"]]
    assert len(losses) == count
    renamed = {name.partition(".")[2]: value for name, value in weights.items()}
    assert _differing(renamed, by_hand["weights"]) == []


def test_text_and_lazy_config_train_alike(toy: "Toy") -> None:
    toy.output("lazy")

    assert toy.losses("lazy") == toy.losses("text")
    assert len(toy.losses("lazy")) == 36
    assert _differing(toy.weights("lazy"), toy.weights("text")) == []


@pytest.mark.parametrize(
    ("last", "resumed", "whole", "file"),
    [
        ("resumed", "resumed", "toynet_4e_shapes", "epoch_4.pth"),
        ("whole", "half", "iterations", "iter_16.pth"),
        ("two_resumed", "two_resumed", "two", "epoch_4.pth"),
    ],
    ids=["epochs", "iterations", "two-ranks"],
)
def test_resumed_training_equals_the_uninterrupted_one(
    toy: "Toy", last: str, resumed: str, whole: str, file: str
) -> None:
    output = toy.output(last)

    assert re.search(r"resumed epoch: \d+, iter: (5|8|9)\b", output)
    assert toy.losses(resumed) == toy.losses(whole)
    assert _differing(toy.weights(resumed, file), toy.weights(whole, file)) == []


def test_loop_of_the_library_ends_the_training_in_time(toy: "Toy") -> None:
    output = toy.output("stopped")

    assert "Epoch(val) [1][5/5]" in output
    assert "Epoch(train) [2]" not in output


def test_hook_of_the_library_acts_before_an_iteration(toy: "Toy") -> None:
    assert "The normalizations are frozen at iteration 19" in toy.output("text")


def test_iteration_loop_of_the_library_averages_weights(toy: "Toy") -> None:
    output = toy.output("iterations")

    assert re.search(r"Iter\(train\) \[16/16\] .* num_samples: 256", output)
    path = toy.folder / "work_dirs" / "iterations" / "iter_16.pth"
    checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    assert set(checkpoint) >= {"ema_state_dict", "state_dict", "optimizer", "param_schedulers"}
    assert not (path.parent / "iter_8.pth").exists()  # max_keep_ckpts=1


def test_amp_scaled_rate_and_runner_are_taken_from_the_command_line(toy: "Toy") -> None:
    output = toy.output("amp")

    assert "OneThreadRunner has trained ToyClassifier" in output
    path = toy.folder / "work_dirs" / "amp" / "epoch_4.pth"
    checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    assert "loss_scaler" in checkpoint["optimizer"]
    rates = [row["base_lr"] for row in toy.records("amp") if "loss" in row]
    assert rates[1] == pytest.approx(0.2)  # twice the base batch, after the warm-up of an epoch
    dumped = Config.fromfile(path.parent / "toynet_4e_shapes.py")
    assert dumped.optim_wrapper.type == "AmpOptimWrapper"
    assert dumped.auto_scale_lr == {"enable": True, "base_batch_size": 8}


def test_two_ranks_share_the_samples_and_agree(toy: "Toy") -> None:
    output = toy.output("two")

    assert re.search(r"Epoch\(train\) +\[4\]\[4/5\] ", output)  # 9 batches, divided by two
    assert output.count("Epoch(val) [4][3/3]  accuracy") == 1  # the main rank alone logs
    rows = [row for row in toy.records("two") if "accuracy/top1" in row]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    tested = json.dumps(rows[-1])
    assert "accuracy/vertical_top1" in tested

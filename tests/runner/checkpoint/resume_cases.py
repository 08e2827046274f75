"""Runs with drawn features, interrupted anywhere and resumed, in one process or on two ranks."""

import json
import random
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from engine_dist import RankLost
from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_optim import DefaultOptimWrapperConstructor, OptimWrapperDict
from engine_runner import Hook, Runner

BATCHES = 5  # of an epoch, per rank
RANK_SEEDS = (0, 3, 7)
_SCHEDULES: tuple[dict[str, Any], ...] = (
    {"type": "LinearLR", "start_factor": 0.1, "end": 9},
    {"type": "ConstantLR", "factor": 0.5, "end": 7},
    {"type": "MultiStepLR", "milestones": [3, 8, 14]},
    {"type": "StepLR", "step_size": 4, "gamma": 0.7},
    {"type": "ExponentialLR", "gamma": 0.93},
    {"type": "CosineAnnealingLR", "T_max": 11, "eta_min": 1e-3},
    {"type": "CosineRestartLR", "periods": [4, 9, 20], "restart_weights": [1, 0.7, 0.4]},
    {"type": "PolyLR", "power": 0.9, "end": 17},
    {"type": "OneCycleLR", "eta_max": 0.2, "total_steps": 60},
    {"type": "LinearMomentum", "start_factor": 0.5, "end": 12},
    {"type": "StepMomentum", "step_size": 5, "gamma": 0.8},
    {"type": "CosineAnnealingMomentum", "T_max": 9, "eta_min": 0.1},
)
_PLATEAU = {"type": "ReduceOnPlateauLR", "monitor": "error", "patience": 1, "factor": 0.5}
# What differs between two runs, whatever they compute: times, paths and names of runs.
# The position of an endless sampler is that of the batches fetched ahead; the loader has its own.
# So is the number of the indices that a sampler of the user's has drawn.
# A validation that is made up for after a resume follows the counters, not the last iteration.
_CLOCK = re.compile(
    r"(time|eta|memory|work_dir|experiment_name|cfg|time\.log_history|sampler\.position)$"
    r"|batch_sampler\.(drawn|checksum)$"
    r"|^(\.|best\.[^.]*\.pth\.)records"
    r"|^best\..*runtime_info\.(epoch|iter)$"
)


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Points with noise from each generator that augmentations draw from."""

    def __init__(self, size: int) -> None:
        self.x = torch.linspace(-1, 1, size * 3).reshape(size, 3)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        drawn = torch.tensor([random.random(), np.random.rand(), float(torch.rand(()))])
        return self.x[index] + 0.1 * drawn.float(), self.x[index].sum()[None]


class Pairs:
    """A batch sampler of the user's, which reverses each batch."""

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool = False) -> None:
        self.sampler, self.batch_size = sampler, batch_size

    def __len__(self) -> int:
        return len(self.sampler) // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while len(batch := list(islice(indices, self.batch_size))) == self.batch_size:
            yield batch[::-1]


class Net(BaseModel):
    """Two layers with running statistics and dropout."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.dropout = nn.Dropout(0.2)
        self.second = nn.Linear(4, 1)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        out = self.second(self.dropout(self.norm(self.first(x)).relu()))
        if mode == "loss":
            return {"loss": (out - y).square().mean(), "loss_size": 0.01 * out.abs().mean()}
        return (out, y) if mode == "predict" else out


class TwoParts(Net):
    """The same, with an optimizer for each layer."""

    def train_step(self, data: Any, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:  # type: ignore[override] # takes several optimizers
        x, y = self.data_preprocessor(data, training=True)
        losses: dict[str, Tensor] = {}
        for name in ("first", "second"):
            wrapper = optim_wrapper[name]
            with wrapper.optim_context(self):
                losses[f"loss_{name}"] = self(x, y, mode="loss")["loss"]
            wrapper.update_params(losses[f"loss_{name}"])
        return losses


class PartsConstructor:
    """Build an optimizer for each layer of `TwoParts`."""

    def __init__(self, optim_wrapper_cfg: Any, paramwise_cfg: Any = None) -> None:
        self.configs = optim_wrapper_cfg

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        return OptimWrapperDict(
            **{
                name: DefaultOptimWrapperConstructor(dict(config))(getattr(model, name))
                for name, config in self.configs.items()
            }
        )


class Errors(BaseMetric):
    """The mean absolute error."""

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        out, y = data_samples
        self.results += (out.float() - y).abs().flatten().tolist()

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"error": sum(results) / len(results)}


class Interrupted(Exception):
    """Ends a run as a kill does: nothing is saved."""


class Stop(Hook):
    """Interrupt before an iteration of the training, or within the validation after it."""

    priority = "VERY_HIGH"

    def __init__(self, at: int, in_validation: bool = False) -> None:
        self.at, self.in_validation = at, in_validation

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter >= self.at and not self.in_validation:
            raise Interrupted

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if self.in_validation and runner.iter >= self.at and batch_idx == 1:
            raise Interrupted


class Draw:
    """The features of a run, drawn from a seed, as the arguments of `Runner`.

    Args:
        seed: The seed of the draw.
        ranks: The number of processes.
        work_dir: The folder for the runs.
    """

    def __init__(self, seed: int, work_dir: Path, ranks: int = 1) -> None:
        self.draw = random.Random(seed)
        self.seed, self.ranks, self.work_dir = seed, ranks, work_dir
        self.by_epoch = self.draw.random() < 0.5
        self.several = self.draw.random() < 0.2 and ranks == 1
        self.workers = self.draw.choice([0, 1, 2])
        self.at = self.draw.randrange(2, 3 * BATCHES)
        self.in_validation = self.draw.random() < 0.25
        self.shared = self._settings()

    def arguments(self, name: str, **changes: Any) -> dict[str, Any]:
        """Return the arguments of a run in a folder of its own."""
        workers = changes.pop("workers", self.workers)
        options = {"persistent_workers": self.persistent} if workers else {}
        # Each run has objects of its own: nothing of the interrupted one survives.
        arguments: dict[str, Any] = {
            "model": (TwoParts if self.several else Net)(),
            "work_dir": str(self.work_dir / f"{self.seed}_{name}"),
            "val_evaluator": Errors(),
            "val_cfg": {},
            "launcher": "pytorch" if self.ranks > 1 else "none",
            "randomness": {"seed": self.seed, "diff_rank_seed": self.ranks > 1},
            **json.loads(json.dumps(self.shared)),
        }
        if self.several:
            arguments["optim_wrapper"]["constructor"] = PartsConstructor
        arguments["train_dataloader"] = {**self._loader(), "num_workers": workers, **options}
        arguments["val_dataloader"] = {
            "dataset": Noisy(7),
            "batch_size": 2,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "collate_fn": {"type": "default_collate"},
            "num_workers": workers,
            **options,
        }
        hooks = [*arguments.pop("custom_hooks"), *changes.pop("custom_hooks", [])]
        return {**arguments, "custom_hooks": hooks, **changes}

    def _loader(self) -> dict[str, Any]:
        loader: dict[str, Any] = {
            "dataset": Noisy(2 * BATCHES * self.ranks),
            "collate_fn": {"type": "default_collate"},
        }
        if self.pairs:
            loader["batch_sampler"] = {"type": Pairs}
        return {**loader, "sampler": {"type": self.sampling, "shuffle": True}, "batch_size": 2}

    def _settings(self) -> dict[str, Any]:
        draw = self.draw
        self.persistent = draw.random() < 0.5
        kinds = ["DefaultSampler"] if self.by_epoch else ["DefaultSampler", "InfiniteSampler"]
        self.sampling, self.pairs = draw.choice(kinds), draw.random() < 0.3
        unit = 1 if self.by_epoch else BATCHES - 1
        train: dict[str, Any] = {"by_epoch": self.by_epoch, "val_interval": unit}
        train |= {"max_epochs": 4} if self.by_epoch else {"max_iters": 4 * BATCHES}
        if draw.random() < 0.4:
            train["dynamic_intervals"] = [[2 * unit, 2 * unit]]
        saving: dict[str, Any] = {"type": "CheckpointHook", "save_best": "error", "rule": "less"}
        saving |= {"by_epoch": False, "interval": draw.choice([1, 2, 3]), "max_keep_ckpts": 2}
        if self.by_epoch and draw.random() < 0.3:
            saving |= {"by_epoch": True, "interval": 1}
        logger = {"type": "LoggerHook", "interval": draw.choice([1, 2, 3])}
        logger["ignore_last"] = draw.random() < 0.5
        smooth = {"data_src": "loss", "log_name": "loss_all", "method_name": "mean"}
        return {
            "train_cfg": train,
            "optim_wrapper": self._optimizers(),
            "param_scheduler": self._schedules(),
            "custom_hooks": self._hooks(),
            "default_hooks": {"checkpoint": saving, "logger": logger},
            "log_processor": {
                "window_size": draw.choice([2, 4, 10]),
                "by_epoch": self.by_epoch,
                "custom_cfg": [{**smooth, "window_size": "global"}],
            },
        }

    def _optimizers(self) -> dict[str, Any]:
        if self.several:
            return {name: self._optimizer(plain=True) for name in ("first", "second")}
        return self._optimizer()

    def _optimizer(self, *, plain: bool = False) -> dict[str, Any]:
        draw = self.draw
        optimizer = draw.choice(
            [
                {"type": "SGD", "lr": 0.05, "momentum": 0.9, "nesterov": True},
                {"type": "AdamW", "lr": 0.02},
                {"type": "Adam", "lr": 0.02, "amsgrad": True},
                {"type": "SGD", "lr": 0.1, "momentum": 0.5},
                {"type": "NAdam", "lr": 0.02},
            ]
        )
        wrapper: dict[str, Any] = {"type": "OptimWrapper", "optimizer": optimizer}
        kind = draw.choice(["plain", "plain", "bfloat16", "float16"])
        if kind != "plain" and not plain:
            wrapper |= {"type": "AmpOptimWrapper", "dtype": kind}
        wrapper["accumulative_counts"] = draw.choice([1, 1, 2, 3, 4])
        if draw.random() < 0.4:
            wrapper["clip_grad"] = {"max_norm": 0.5}
        return wrapper

    def _schedules(self) -> Any:
        chosen = [self._by(one) for one in self.draw.sample(_SCHEDULES, k=2)]
        kinds = {one["type"] for one in chosen}
        if self.several:
            return {"first": chosen[:1], "second": chosen[1:]}
        if self.draw.random() < 0.3 and "OneCycleLR" not in kinds:
            chosen.append({**_PLATEAU, "by_epoch": True})
        return chosen

    def _by(self, schedule: Mapping[str, Any]) -> dict[str, Any]:
        converts = schedule["type"] in ("LinearLR", "CosineAnnealingLR") and self.by_epoch
        if converts and self.draw.random() < 0.5:
            chosen = {"by_epoch": True, "convert_to_iter_based": True}
            renamed = {"end": 3} if "end" in schedule else {"T_max": 4, "end": 4}
            return {**schedule, **chosen, **renamed}
        return {**schedule, "by_epoch": False}

    def _hooks(self) -> list[dict[str, Any]]:
        draw, hooks = self.draw, []
        average = draw.choice(["none", "none", "ema", "swa"])
        if average == "ema":
            begin = {"begin_iter": draw.choice([0, 4])}
            hooks.append({"type": "EMAHook", "momentum": 0.1, "update_buffers": True, **begin})
        if average == "swa":
            hooks.append({"type": "SWAHook", "begin_iter": 3, "interval": 2, "by_epoch": False})
        if draw.random() < 0.4:
            hooks.append({"type": "EarlyStoppingHook", "monitor": "error", "patience": 2})
        return hooks

    def describe(self) -> str:
        """Return the features, for the message of a failure."""
        facts = {name: value for name, value in vars(self).items() if name != "draw"}
        return json.dumps(facts, default=str, indent=1)


def train(arguments: dict[str, Any]) -> tuple[Runner, dict[str, Any]]:
    """Train, and return the run and the whole of its state."""
    runner = Runner(**arguments)
    runner.train()
    return runner, state_of(runner)


def state_of(runner: Runner) -> dict[str, Any]:
    """Return the state of a run as its last checkpoint has it."""
    path = runner.save_checkpoint(runner.work_dir, "end.pth", progress=runner.progress)
    return dict(torch.load(path, weights_only=False))


def interrupt(arguments: dict[str, Any], stop: Hook) -> bool:
    """Train until the interruption; return whether there was one."""
    hooks = [*arguments["custom_hooks"], stop]
    try:
        Runner(**{**arguments, "custom_hooks": hooks}).train()
    except (Interrupted, SystemExit):
        return True
    except RankLost as error:  # the other rank got there first
        return "Interrupted" in str(error)
    return False


def differences(left: Any, right: Any, place: str = "") -> Iterator[str]:
    """Yield where two states differ, times and paths left out."""
    if _CLOCK.search(place):
        return
    left, right = (dict(enumerate(s)) if isinstance(s, list | tuple) else s for s in (left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in {**left, **right}:
            yield from differences(left.get(key), right.get(key), f"{place}.{key}")
    elif not _same(left, right):
        yield f"{place}: {left!s:.60} and {right!s:.60}"


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        values = [tensor.cpu().nan_to_num() for tensor in (left, right)]
        return left.dtype == right.dtype and torch.equal(*values)
    if isinstance(left, str) and isinstance(right, str):
        return Path(left).name == Path(right).name  # the runs have folders of their own
    return bool(left == right or (left != left and right != right))  # both are NaN


def records(work_dir: str | Path) -> list[dict[str, Any]]:
    """Return the lines of the one file of scalars, without times."""
    (file,) = Path(work_dir).glob("*/vis_data/scalars.json")
    lines = map(json.loads, file.read_text().splitlines())
    return [{k: v for k, v in line.items() if not _CLOCK.search(k)} for line in lines]


def log_lines(runner: Runner) -> list[str]:
    """Return the lines of numbers in the log of a run, without times."""
    text = Path(runner.log_dir, f"{runner.timestamp}.log").read_text()
    found = re.findall(r"(?:Epoch|Iter)\((?:train|val)\).*", text)
    return [re.sub(r"(eta|time|data_time|memory): \S+(, \S+)?( *)", "", line) for line in found]


def best_checkpoints(work_dir: str | Path) -> dict[str, Any]:
    """Return the best checkpoints of a run by their names."""
    files = sorted(Path(work_dir).glob("best_*.pth"))
    return {file.name: torch.load(file, weights_only=False) for file in files}


def found_differences(draw: Draw, kind: type[Stop] = Stop) -> list[str]:
    """Interrupt a run, resume it, and return where it differs from one without interruption."""
    whole, state = train(draw.arguments("whole"))
    cut = draw.arguments("cut")
    if not interrupt(cut, kind(draw.at, draw.in_validation)):
        return [f"the run was not interrupted at {draw.at}"]
    if whole.is_main and not Path(cut["work_dir"], "last_checkpoint").exists():
        shutil.rmtree(cut["work_dir"])  # interrupted before its first checkpoint: it begins anew
    # With another number of workers, where there are any.
    workers = 3 - draw.workers if draw.workers else 0
    rest, resumed = train(draw.arguments("cut", resume=True, workers=workers))
    found = list(differences(state, resumed))
    if whole.is_main:
        found += differences(records(whole.work_dir), records(rest.work_dir), "scalars")
        lines, last = log_lines(whole), log_lines(rest)
        found += differences(lines[-len(last) :], last, "log")
        best = [best_checkpoints(runner.work_dir) for runner in (whole, rest)]
        found += differences(best[0], best[1], "best")
    return found


def _on_ranks(seed: int) -> Callable[[int, Path], list[str]]:
    def case(rank: int, folder: Path) -> list[str]:
        return found_differences(Draw(seed, folder, ranks=2))

    return case


CASES = {f"seed {seed}": _on_ranks(seed) for seed in RANK_SEEDS}

"""The shapes that rooms of the runner need of each other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from torch.utils.data import DataLoader

from engine_config import Config
from engine_evaluator import Evaluator
from engine_logging import MessageHub, MMLogger
from engine_runner._progress import Progress
from engine_runner._types import Model
from engine_visualization import Visualizer


@runtime_checkable
class Stateful(Protocol):
    """What survives a restart: it returns its state, and takes it back.

    A state holds plain values and tensors only, as it is loaded without running code.
    """

    def state_dict(self) -> Any:
        """Return the state."""

    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Take over a state that `state_dict` returned."""


class Loop(Protocol):
    """A pass, or many, over the batches of a data loader."""

    @property
    def dataloader(self) -> Any:
        """The data loader."""

    def run(self) -> Any:
        """Execute the loop."""


class Following(Protocol):
    """What follows the save of a checkpoint."""

    def complete(self, path: str) -> None:
        """Act when the checkpoint is complete and verified; on the main rank, in any thread."""

    def settle(self, error: Exception | None) -> None:
        """Note the outcome, before the next save; on all ranks, in the thread of the training."""


class Notes(Protocol):
    """What notes the changes of a validation beside the checkpoint that was saved before it."""

    def note(self, run: Any, /) -> None:
        """Note them."""


class Saves(Protocol):
    """The checkpointer of a run as its hooks see it."""

    restarts: set[str]
    """The states that a resumed run starts anew, such as ``"optimizer"``."""

    @property
    def validated(self) -> Notes:
        """What notes the changes of a validation."""

    @property
    def sharded(self) -> bool:
        """Whether checkpoints are collected with the shards of each rank."""

    @property
    def continues(self) -> bool:
        """Whether the run has resumed the latest checkpoint of its folders, with all states."""

    @property
    def slowest_write(self) -> float:
        """The seconds until the slowest checkpoint was complete, perhaps in the background."""

    def use(self, writer: Any) -> None:
        """Write with another writer from now on."""

    def name_of(self, filename: str) -> str:
        """Return the name that the writer gives a checkpoint."""

    def save_followed(self, following: Following, save: Callable[[], str]) -> None:
        """Save, perhaps in the background; see `Checkpointer.save_followed`."""

    def settle(self) -> None:
        """Return when the former save is settled; all ranks must call this."""

    def finish(self) -> None:
        """Return when everything is written and settled; all ranks must call this."""

    def wait(self) -> None:
        """Return when this process writes nothing."""


class Run(Protocol):
    """The run as its loops, hooks and log processor see it; `Runner` documents each name."""

    model: Model
    cfg: Config
    logger: MMLogger
    message_hub: MessageHub
    visualizer: Visualizer
    log_processor: Any
    progress: Progress
    param_schedulers: Any

    @property
    def checkpointer(self) -> Saves: ...
    @property
    def experiment_name(self) -> str: ...
    @property
    def timestamp(self) -> str: ...
    @property
    def work_dir(self) -> str: ...
    @property
    def log_dir(self) -> str: ...
    @property
    def unfinished(self) -> bool: ...
    @property
    def is_main(self) -> bool: ...
    @property
    def distributed(self) -> bool: ...
    @property
    def world_size(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def seed_is_given(self) -> bool: ...
    @property
    def diff_rank_seed(self) -> bool: ...
    @property
    def epoch(self) -> int: ...
    @property
    def iter(self) -> int: ...
    @property
    def max_epochs(self) -> int: ...
    @property
    def max_iters(self) -> int | float: ...
    @property
    def trains_by_epoch(self) -> bool: ...
    @property
    def optim_wrapper(self) -> Any: ...
    @property
    def hooks(self) -> list[Any]: ...
    @property
    def train_loop(self) -> Any: ...
    @property
    def val_loop(self) -> Loop | None: ...
    @property
    def test_loop(self) -> Any: ...
    @property
    def train_dataloader(self) -> DataLoader[Any]: ...
    @property
    def val_dataloader(self) -> Any: ...
    @property
    def test_dataloader(self) -> Any: ...

    def build_dataloader(
        self,
        dataloader: DataLoader[Any] | Mapping[str, Any],
        seed: int | None = None,
        diff_rank_seed: bool = False,
    ) -> DataLoader[Any]:
        """Return the data loader of a config, or the loader given."""

    def build_evaluator(
        self, evaluator: Evaluator | Mapping[str, Any] | Sequence[Any]
    ) -> Evaluator:
        """Return the evaluator of metrics or configs, or the evaluator given."""

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Call every hook that acts at a point."""

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: Mapping[str, Any] | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: Mapping[str, Any] | None = None,
        by_epoch: bool = True,
        backend_args: Mapping[str, Any] | None = None,
        *,
        progress: Progress | None = None,
    ) -> str:
        """Save a checkpoint, and return its path."""

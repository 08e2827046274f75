#!/usr/bin/env python
"""Write the inventories of docs/_inventories: which page of PyTorch, Python or NumPy has a name.

Nothing is fetched. The names below are those that our docstrings and pages refer to. Each is
imported, so that it exists in the installed version, and its address is composed by the rule by
which that project names its pages. ``python scripts/inventories.py`` writes the files again.
"""

import importlib
import inspect
import zlib
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs/_inventories"

# The names of a page, as ``module: name name``; `$` in the page is the full name.
PYTHON = {
    "library/functions.html": """builtins: bool classmethod complex float frozenset int isinstance
        len memoryview object open print property range slice sorted staticmethod super tuple type
        zip""",
    "library/stdtypes.html": "builtins: bytearray bytes dict list set str",
    "library/exceptions.html": """builtins: ArithmeticError AssertionError AttributeError
        BaseException BrokenPipeError ConnectionError DeprecationWarning EOFError Exception
        FileExistsError FileNotFoundError FloatingPointError FutureWarning ImportError IndexError
        IsADirectoryError KeyError KeyboardInterrupt LookupError MemoryError ModuleNotFoundError
        NotADirectoryError NotImplementedError OSError OverflowError PermissionError
        ProcessLookupError RecursionError ResourceWarning RuntimeError RuntimeWarning
        StopIteration SyntaxError
        SystemExit TimeoutError TypeError UnicodeDecodeError UserWarning ValueError Warning
        ZeroDivisionError""",
    "library/abc.html": "abc: ABC ABCMeta",
    "library/argparse.html": "argparse: Action ArgumentParser",
    "library/collections.html": "collections: Counter OrderedDict defaultdict deque",
    "library/collections.abc.html": """collections.abc: Awaitable Callable Collection Container
        Generator Hashable ItemsView Iterable Iterator KeysView Mapping MutableMapping
        MutableSequence Sequence Set Sized ValuesView""",
    "library/concurrent.futures.html": """concurrent.futures: ProcessPoolExecutor
        ThreadPoolExecutor
        concurrent.futures.process: BrokenProcessPool""",
    "library/contextlib.html": "contextlib: AbstractContextManager ExitStack contextmanager",
    "library/copy.html": "copy: copy deepcopy",
    "library/dataclasses.html": "dataclasses: dataclass field",
    "library/datetime.html": "datetime: datetime timedelta",
    "library/enum.html": "enum: Enum IntEnum",
    "library/functools.html": "functools: partial wraps",
    "library/importlib.metadata.html": "importlib.metadata: PackageNotFoundError",
    "library/logging.html": "logging: FileHandler Formatter Handler LogRecord Logger getLogger",
    "library/os.html": "os: PathLike",
    "library/pathlib.html": "pathlib: Path",
    "library/pickle.html": "pickle: Pickler UnpicklingError",
    "library/re.html": "re: sub",
    "library/shutil.html": "shutil: SameFileError",
    "library/subprocess.html": "subprocess: CalledProcessError",
    "library/sys.html": "sys: exit",
    "library/types.html": "types: FrameType ModuleType SimpleNamespace TracebackType",
    "library/typing.html": """typing: Annotated Any BinaryIO ClassVar Concatenate Generic IO Literal
        NamedTuple ParamSpec Protocol Self TextIO TypeGuard TypeVar TypedDict Unpack""",
    "library/unittest.html": "unittest: TestCase",
}

NUMPY = {
    "reference/generated/$.html": "numpy: dtype memmap ndarray",
    "reference/arrays.scalars.html": "numpy: float32 float64 int64 uint8",
    "reference/typing.html": "numpy.typing: NDArray",
}

TORCH = {
    "tensors.html": "torch: Tensor",
    "tensor_attributes.html": "torch: device dtype",
    "amp.html": "torch: autocast\ntorch.amp: GradScaler",
    "data.html": """torch.utils.data: BatchSampler ConcatDataset DataLoader Dataset
        DistributedSampler IterableDataset RandomSampler Sampler SequentialSampler Subset
        TensorDataset WeightedRandomSampler default_collate get_worker_info random_split""",
    "distributed.html": """torch.distributed: ProcessGroup ReduceOp init_process_group
        torch.distributed.device_mesh: DeviceMesh init_device_mesh""",
    "distributed.optim.html": "torch.distributed.optim: ZeroRedundancyOptimizer",
    "distributed.fsdp.fully_shard.html": "torch.distributed.fsdp: fully_shard",
    "distributed.tensor.html": "torch.distributed.tensor: DTensor",
    "fsdp.html": """torch.distributed.fsdp: BackwardPrefetch CPUOffload FullyShardedDataParallel
        MixedPrecision ShardingStrategy""",
    "hub.html": "torch.hub: load_state_dict_from_url",
    "testing.html": "torch.testing: assert_close",
    "tensorboard.html": "torch.utils.tensorboard.writer: SummaryWriter",
    "profiler.html": "torch.profiler: profile schedule",
    "optim.html": "torch.optim: Optimizer\ntorch.optim.swa_utils: AveragedModel",
    "generated/$.html": """torch: Generator compile load manual_seed no_grad save
        torch.cuda: reset_peak_memory_stats
        torch.jit: trace
        torch.nn: BatchNorm1d BatchNorm2d Conv2d CrossEntropyLoss DataParallel Dropout Embedding
            Flatten GELU GroupNorm LSTM LayerNorm Linear MaxPool2d Module ModuleDict ModuleList
            Parameter ReLU Sequential SyncBatchNorm TransformerEncoderLayer
        torch.nn.functional: cross_entropy interpolate
        torch.nn.parallel: DistributedDataParallel
        torch.nn.utils: clip_grad_norm_ clip_grad_value_
        torch.optim: Adam AdamW RMSprop SGD
        torch.optim.lr_scheduler: ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts
            ExponentialLR LinearLR MultiStepLR OneCycleLR PolynomialLR ReduceLROnPlateau StepLR""",
}  # fmt: skip

PROJECTS = {"python": PYTHON, "numpy": NUMPY, "torch": TORCH}
# Modules that our documentation names as a place, with their page.
MODULES = {
    "torch": {"torch.nn": "nn.html", "torch.optim": "optim.html", "torch.amp": "amp.html",
              "torch.fx": "fx.html", "torch.profiler": "profiler.html",
              "torch.nn.functional": "nn.functional.html", "torch.distributed": "distributed.html",
              "torch.distributed.checkpoint": "distributed.checkpoint.html"},
    "python": {"argparse": "library/argparse.html", "logging": "library/logging.html",
               "pathlib": "library/pathlib.html"},
    "numpy": {},
}  # fmt: skip


def names_of(listing: str) -> Iterator[tuple[str, str]]:
    """Yield module and name of each name in ``module: name name``, one or more modules."""
    module = ""
    for word in listing.split():
        if word.endswith(":"):
            module = word[:-1]
        else:
            yield module, word


def role_of(value: object) -> str:
    """Return the role of an object in an inventory."""
    if inspect.isclass(value):
        return "py:exception" if issubclass(value, BaseException) else "py:class"
    return "py:function" if inspect.isroutine(value) else "py:data"


def entries(project: str) -> Iterator[str]:
    """Yield the lines of an inventory: name, role, priority, address, text.

    A name has a second line under the module that defines it, which is what autodoc reports.
    """
    for page, listing in PROJECTS[project].items():
        for module, name in names_of(listing):
            value = getattr(importlib.import_module(module), name)
            full = name if module == "builtins" else f"{module}.{name}"
            address = f"{page.replace('$', full)}#{full}"
            own = f"{getattr(value, '__module__', module)}.{getattr(value, '__qualname__', name)}"
            for alias in sorted({full, own.removeprefix("builtins.")}):
                yield f"{alias} {role_of(value)} 1 {address} -"
    for module, page in MODULES[project].items():
        importlib.import_module(module)
        yield f"{module} py:module 0 {page}#module-{module} -"


def main() -> None:
    """Write the files."""
    for project in PROJECTS:
        header = (
            "# Sphinx inventory version 2\n"
            f"# Project: {project}\n"
            "# Version: composed by scripts/inventories.py\n"
            "# The remainder of this file is compressed using zlib.\n"
        )
        lines = sorted(entries(project))
        body = zlib.compress(("\n".join(lines) + "\n").encode(), 9)
        (FOLDER / f"{project}.inv").write_bytes(header.encode() + body)
        print(f"{project}: {len(lines)} names")


if __name__ == "__main__":
    main()

"""The registries of mmtoy: children of those of mmengine, with the scope `mmtoy`."""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import EVALUATOR as MMENGINE_EVALUATOR
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import INFERENCERS as MMENGINE_INFERENCERS
from mmengine.registry import LOG_PROCESSORS as MMENGINE_LOG_PROCESSORS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODEL_WRAPPERS as MMENGINE_MODEL_WRAPPERS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import OPTIMIZERS as MMENGINE_OPTIMIZERS
from mmengine.registry import PARAM_SCHEDULERS as MMENGINE_PARAM_SCHEDULERS
from mmengine.registry import RUNNER_CONSTRUCTORS as MMENGINE_RUNNER_CONSTRUCTORS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import TASK_UTILS as MMENGINE_TASK_UTILS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISBACKENDS as MMENGINE_VISBACKENDS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.registry import WEIGHT_INITIALIZERS as MMENGINE_WEIGHT_INITIALIZERS
from mmengine.registry import Registry

# manage all kinds of runners like `EpochBasedRunner` and `IterBasedRunner`
RUNNERS = Registry("runner", parent=MMENGINE_RUNNERS, scope="mmtoy", locations=["mmtoy.engine"])
RUNNER_CONSTRUCTORS = Registry(
    "runner constructor",
    parent=MMENGINE_RUNNER_CONSTRUCTORS,
    scope="mmtoy",
    locations=["mmtoy.engine"],
)
LOOPS = Registry("loop", parent=MMENGINE_LOOPS, scope="mmtoy", locations=["mmtoy.engine"])
HOOKS = Registry("hook", parent=MMENGINE_HOOKS, scope="mmtoy", locations=["mmtoy.engine"])
LOG_PROCESSORS = Registry(
    "log_processor", parent=MMENGINE_LOG_PROCESSORS, scope="mmtoy", locations=["mmtoy.engine"]
)

# manage data-related modules
DATASETS = Registry(
    "dataset", parent=MMENGINE_DATASETS, scope="mmtoy", locations=["mmtoy.datasets"]
)
DATA_SAMPLERS = Registry(
    "data sampler", parent=MMENGINE_DATA_SAMPLERS, scope="mmtoy", locations=["mmtoy.datasets"]
)
TRANSFORMS = Registry(
    "transform",
    parent=MMENGINE_TRANSFORMS,
    scope="mmtoy",
    locations=["mmtoy.datasets.transforms"],
)

# manage all kinds of modules inheriting `nn.Module`
MODELS = Registry("model", parent=MMENGINE_MODELS, scope="mmtoy", locations=["mmtoy.models"])
MODEL_WRAPPERS = Registry(
    "model_wrapper", parent=MMENGINE_MODEL_WRAPPERS, scope="mmtoy", locations=["mmtoy.models"]
)
WEIGHT_INITIALIZERS = Registry(
    "weight initializer",
    parent=MMENGINE_WEIGHT_INITIALIZERS,
    scope="mmtoy",
    locations=["mmtoy.models"],
)

# manage optimizers, their wrappers and constructors, and schedulers
OPTIMIZERS = Registry(
    "optimizer", parent=MMENGINE_OPTIMIZERS, scope="mmtoy", locations=["mmtoy.engine"]
)
OPTIM_WRAPPERS = Registry(
    "optim_wrapper", parent=MMENGINE_OPTIM_WRAPPERS, scope="mmtoy", locations=["mmtoy.engine"]
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    "optimizer wrapper constructor",
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope="mmtoy",
    locations=["mmtoy.engine"],
)
PARAM_SCHEDULERS = Registry(
    "parameter scheduler",
    parent=MMENGINE_PARAM_SCHEDULERS,
    scope="mmtoy",
    locations=["mmtoy.engine"],
)

# manage metrics and evaluators
METRICS = Registry("metric", parent=MMENGINE_METRICS, scope="mmtoy", locations=["mmtoy.evaluation"])
EVALUATOR = Registry(
    "evaluator", parent=MMENGINE_EVALUATOR, scope="mmtoy", locations=["mmtoy.evaluation"]
)

# manage task-specific modules like anchor generators
TASK_UTILS = Registry(
    "task util", parent=MMENGINE_TASK_UTILS, scope="mmtoy", locations=["mmtoy.models"]
)

# manage visualizers and their backends
VISUALIZERS = Registry(
    "visualizer", parent=MMENGINE_VISUALIZERS, scope="mmtoy", locations=["mmtoy.visualization"]
)
VISBACKENDS = Registry(
    "vis_backend", parent=MMENGINE_VISBACKENDS, scope="mmtoy", locations=["mmtoy.visualization"]
)

INFERENCERS = Registry(
    "inferencer", parent=MMENGINE_INFERENCERS, scope="mmtoy", locations=["mmtoy.apis"]
)

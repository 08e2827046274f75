"""Process groups, collectives and devices, for one process or many."""

from torch.distributed import ReduceOp

from engine_dist._collectives import (
    all_gather,
    all_reduce,
    all_reduce_dict,
    all_reduce_params,
    barrier,
    broadcast,
    gather,
    sync_random_seed,
)
from engine_dist._errors import DistError, RankLost, RanksDisagree
from engine_dist._groups import (
    get_backend,
    get_comm_device,
    get_default_group,
    get_dist_info,
    get_local_group,
    get_local_rank,
    get_local_size,
    get_rank,
    get_world_size,
    init_local_group,
    is_distributed,
    is_main_process,
    master_only,
)
from engine_dist._launch import init_dist
from engine_dist._launchers import Launch, infer_launcher, read_launch
from engine_dist._merge import RankResults, merge_results
from engine_dist._objects import (
    all_gather_object,
    broadcast_object_list,
    gather_object,
)
from engine_dist._pickling import TensorPickler, dumps_tensors
from engine_dist._results import collect_results, collect_results_cpu, collect_results_gpu
from engine_dist._rounds import first_of_launch, restart_count, uses_agent_store
from engine_dist._tensors import cast_data_device, get_data_device, map_tensors
from engine_dist.watch import (
    StopAgreement,
    guard_collective,
    on_launcher_lost,
    record_failure,
)

__all__ = [
    "DistError",
    "Launch",
    "RankLost",
    "RankResults",
    "RanksDisagree",
    "ReduceOp",
    "StopAgreement",
    "TensorPickler",
    "all_gather",
    "all_gather_object",
    "all_reduce",
    "all_reduce_dict",
    "all_reduce_params",
    "barrier",
    "broadcast",
    "broadcast_object_list",
    "cast_data_device",
    "collect_results",
    "collect_results_cpu",
    "collect_results_gpu",
    "dumps_tensors",
    "first_of_launch",
    "gather",
    "gather_object",
    "get_backend",
    "get_comm_device",
    "get_data_device",
    "get_default_group",
    "get_dist_info",
    "get_local_group",
    "get_local_rank",
    "get_local_size",
    "get_rank",
    "get_world_size",
    "guard_collective",
    "infer_launcher",
    "init_dist",
    "init_local_group",
    "is_distributed",
    "is_main_process",
    "map_tensors",
    "master_only",
    "merge_results",
    "on_launcher_lost",
    "read_launch",
    "record_failure",
    "restart_count",
    "sync_random_seed",
    "uses_agent_store",
]

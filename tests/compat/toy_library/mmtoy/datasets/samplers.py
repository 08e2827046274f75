import itertools
from typing import Iterator, Optional, Sized

import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmtoy.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class BalancedSampler(Sampler):
    """Sample as many pictures of each class: those of a small class several times.

    Args:
        dataset (Sized): A dataset with `get_cat_ids`.
        shuffle (bool): Whether to shuffle the pictures. Defaults to True.
        seed (int, optional): Random seed. If None, set a random seed on all ranks.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: Optional[int] = None) -> None:
        rank, world_size = get_dist_info()
        self.rank = rank
        self.world_size = world_size
        self.dataset = dataset
        self.shuffle = shuffle
        if seed is None:
            seed = sync_random_seed()
        self.seed = seed
        self.epoch = 0

        self.groups = {}
        for idx in range(len(dataset)):
            self.groups.setdefault(dataset.get_cat_ids(idx)[0], []).append(idx)
        size = max(map(len, self.groups.values())) * len(self.groups)
        self.num_samples = -(-size // world_size)
        self.total_size = self.num_samples * world_size

    def __iter__(self) -> Iterator[int]:
        g = torch.Generator()
        g.manual_seed(self.seed + self.epoch)
        columns = []
        for _, group in sorted(self.groups.items()):
            order = torch.randperm(len(group), generator=g) if self.shuffle else range(len(group))
            columns.append(itertools.cycle([group[i] for i in order]))
        indices = [next(column) for _, column in zip(range(self.total_size), _turns(columns))]
        return iter(indices[self.rank : self.total_size : self.world_size])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch


def _turns(columns):
    return itertools.cycle(columns)

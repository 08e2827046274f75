"""Print the memory mappings of a dataset's records, in the trainer and in workers."""

from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from engine_dataset import BaseDataset


def mapped_files() -> list[str]:
    """List inode, size and rights of each mapping of records in this process."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "memfd:engine-dataset" in line:
            span, rights, _, _, inode, *_ = line.split()
            begin, end = (int(address, 16) for address in span.split("-"))
            found.append(f"{inode}:{end - begin}:{rights}")
    return sorted(found)


class Blocks(BaseDataset):
    """Records of 1 KiB, so many that the table of their positions is worth sharing."""

    def load_data_list(self) -> list[dict[str, Any]]:
        return [{"block": bytes([number % 256]) * 1024} for number in range(5000)]

    def __getitem__(self, idx: int) -> tuple[list[int], list[str]]:
        return [self.get_data_info(number)["block"][0] for number in range(8)], mapped_files()


def main() -> None:
    """Start a worker by each method and print the mappings in it."""
    dataset = Blocks()
    print(mapped_files())
    for method in ("fork", "spawn", "forkserver"):
        loader: DataLoader[Any] = DataLoader(
            dataset, batch_size=None, sampler=[0], num_workers=1, multiprocessing_context=method
        )
        ((content, in_worker),) = list(loader)
        print((method, content, in_worker))


if __name__ == "__main__":
    main()

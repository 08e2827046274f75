"""Draw the pictures of the dataset: `python draw_shapes.py data/shapes`."""

import argparse
import os.path as osp

import numpy as np
from mmengine.fileio import put_text
from mmengine.utils import mkdir_or_exist, track_iter_progress

SIZES = dict(train=(24, 20, 16), val=(8, 8, 8))


def draw(rng, label, size=8):
    """Draw a stroke: horizontal, vertical or diagonal."""
    img = rng.integers(0, 40, (size, size)).astype(np.uint8)
    place = rng.integers(1, size - 1)
    if label == 0:
        img[place, :] = 220
    elif label == 1:
        img[:, place] = 220
    else:
        diagonal = np.eye(size, k=int(place) - size // 2, dtype=bool)
        img[diagonal if rng.random() < 0.5 else diagonal[:, ::-1]] = 220
    return img


def main():
    parser = argparse.ArgumentParser(description="Draw the shapes")
    parser.add_argument("root", help="the folder of the dataset")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    rng = np.random.default_rng(args.seed)
    for split, sizes in SIZES.items():
        folder = osp.join(args.root, "images", split)
        mkdir_or_exist(folder)
        labels = [label for label, size in enumerate(sizes) for _ in range(size)]
        lines = []
        for number, label in enumerate(track_iter_progress(labels)):
            np.save(osp.join(folder, f"{number:03}.npy"), draw(rng, label))
            lines.append(f"{number:03}.npy {label}")
        put_text("\n".join(lines), osp.join(args.root, f"{split}.txt"))


if __name__ == "__main__":
    main()

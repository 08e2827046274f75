import argparse
import os.path as osp

import numpy as np
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmengine.utils import ProgressBar, mkdir_or_exist
from mmtoy.registry import DATASETS, VISUALIZERS


def parse_args():
    parser = argparse.ArgumentParser(description="Browse a dataset")
    parser.add_argument("config", help="train config file path")
    parser.add_argument("--output-dir", "-o", default=None, type=str, help="save the pictures here")
    parser.add_argument("--not-show", default=False, action="store_true")
    parser.add_argument("--phase", "-p", default="train", choices=["train", "test", "val"])
    parser.add_argument("--show-number", "-n", type=int, default=4, help="number of pictures")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="override settings")
    return parser.parse_args()


def main():
    args = parse_args()
    cfg = Config.fromfile(args.config)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)

    # register all modules in mmtoy into the registries
    init_default_scope(cfg.get("default_scope", "mmtoy"))

    dataset = DATASETS.build(cfg[f"{args.phase}_dataloader"].dataset)
    cfg.visualizer.pop("vis_backends", None)
    visualizer = VISUALIZERS.build(cfg.visualizer)
    visualizer.dataset_meta = dataset.metainfo

    if args.output_dir is not None:
        mkdir_or_exist(args.output_dir)
    display_number = min(args.show_number, len(dataset))
    progress_bar = ProgressBar(display_number)
    for i, item in zip(range(display_number), dataset):
        image = np.repeat(item["inputs"].permute(1, 2, 0).numpy(), 3, axis=2)
        out_file = None
        if args.output_dir is not None:
            out_file = osp.join(args.output_dir, f"{i:03}.npy")
        visualizer.add_datasample(
            osp.basename(item["data_samples"].img_path),
            image,
            item["data_samples"],
            draw_pred=False,
            show=not args.not_show,
            out_file=out_file,
        )
        progress_bar.update()


if __name__ == "__main__":
    main()

import argparse

import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmtoy.registry import MODELS


def parse_args():
    parser = argparse.ArgumentParser(description="Get model flops and params")
    parser.add_argument("config", help="config file path")
    parser.add_argument("--shape", type=int, nargs="+", default=[8, 8], help="input image size")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="override settings")
    return parser.parse_args()


def main():
    args = parse_args()
    input_shape = (1, *(args.shape if len(args.shape) == 2 else args.shape * 2))
    cfg = Config.fromfile(args.config)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    init_default_scope(cfg.get("default_scope", "mmtoy"))

    model = MODELS.build(cfg.model)
    if torch.cuda.is_available():
        model.cuda()
    model.eval()
    analysis_results = get_model_complexity_info(model, input_shape)

    split_line = "=" * 30
    print(
        f"{split_line}\nInput shape: {input_shape}\nFlops: {analysis_results['flops_str']}\n"
        f"Params: {analysis_results['params_str']}\n"
        f"Activation: {analysis_results['activations_str']}\n{split_line}"
    )
    print(analysis_results["out_table"])
    print(analysis_results["out_arch"])


if __name__ == "__main__":
    main()

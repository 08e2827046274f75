import argparse
import datetime
import hashlib
from collections import OrderedDict
from pathlib import Path

import mmtoy
import torch
from mmengine.runner import CheckpointLoader
from mmengine.utils import digit_version, mkdir_or_exist


def parse_args():
    parser = argparse.ArgumentParser(description="Process a checkpoint to be published")
    parser.add_argument("in_file", help="input checkpoint filename")
    parser.add_argument("out_file", help="output checkpoint filename")
    parser.add_argument(
        "--keys",
        nargs="+",
        default=["meta", "state_dict"],
        help="keys to save in published checkpoint (default: meta state_dict)",
    )
    return parser.parse_args()


def process_checkpoint(in_file, out_file, save_keys):
    checkpoint = CheckpointLoader.load_checkpoint(in_file, map_location="cpu")

    # only keep `meta` and `state_dict` for smaller file size
    for k in list(checkpoint.keys()):
        if k not in save_keys:
            print(f"Key `{k}` will be removed because it is not in save_keys.")
            checkpoint.pop(k, None)

    # if it is necessary to remove some sensitive data in checkpoint['meta'], add the code here
    checkpoint["meta"].pop("cfg", None)
    checkpoint["meta"]["mmtoy_version"] = mmtoy.__version__
    assert digit_version(checkpoint["meta"]["mmengine_version"]) >= digit_version("0.7.0")
    state_dict = checkpoint["state_dict"]
    checkpoint["state_dict"] = OrderedDict((k, v.cpu()) for k, v in state_dict.items())
    out_path = Path(out_file)
    mkdir_or_exist(str(out_path.parent))
    torch.save(checkpoint, out_file)

    sha = hashlib.sha256(out_path.read_bytes()).hexdigest()
    current_date = datetime.datetime.now().strftime("%Y%m%d")
    final_file = out_path.with_name(f"{out_path.stem}_{current_date}-{sha[:8]}.pth")
    out_path.rename(final_file)
    print(f"The published model is saved at {final_file}.")


def main():
    args = parse_args()
    process_checkpoint(args.in_file, args.out_file, args.keys)


if __name__ == "__main__":
    main()

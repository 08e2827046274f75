import argparse

from mmengine import Config, DictAction


def parse_args():
    parser = argparse.ArgumentParser(description="Print the whole config")
    parser.add_argument("config", help="config file path")
    parser.add_argument("--save-path", default=None, help="save path of whole config, suffixed .py")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="override settings")
    return parser.parse_args()


def main():
    args = parse_args()
    cfg = Config.fromfile(args.config)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    print(f"Config:\n{cfg.pretty_text}")
    if args.save_path is not None:
        cfg.dump(args.save_path)
        print(f"Config saving at {args.save_path}")


if __name__ == "__main__":
    main()

"""Read `work_dir/<timestamp>/vis_data/<timestamp>.json`, one record a line."""

import argparse
import json
from collections import defaultdict

import numpy as np


def load_json_logs(json_logs):
    """Load and convert json_logs to log_dicts.

    The key of a log_dict is the epoch, or the iteration in a training by iterations. Its value is
    a sub dict, from a name such as `loss` to the list of its values.
    """
    log_dicts = [dict() for _ in json_logs]
    for json_log, log_dict in zip(json_logs, log_dicts):
        with open(json_log) as log_file:
            epoch = 1
            for line in log_file:
                log = json.loads(line.strip())
                # skip lines without the loss, those of validations
                is_train = "loss" in log
                if is_train and "epoch" in log:
                    epoch = log["epoch"]
                key = epoch if is_train else log["step"]
                if key not in log_dict:
                    log_dict[key] = defaultdict(list)
                for k, v in log.items():
                    log_dict[key][k].append(v)
    return log_dicts


def cal_train_time(log_dicts, args):
    """Print the time of an iteration in each epoch."""
    for json_log, log_dict in zip(args.json_logs, log_dicts):
        print(f"{'-' * 5}Analyze train time of {json_log}{'-' * 5}")
        times = {epoch: np.mean(log["time"]) for epoch, log in log_dict.items() if "loss" in log}
        slowest = max(times, key=times.get)
        print(f"slowest epoch {slowest}, average time is {times[slowest]:.4f} s/iter")
        print(f"average iter time: {np.mean(list(times.values())):.4f} s/iter\n")


def print_curve(log_dicts, args):
    """Print the values of each key by epoch."""
    for log_dict in log_dicts:
        epochs = list(log_dict.keys())
        for metric in args.keys:
            if not any(metric in log_dict[epoch] for epoch in epochs):
                raise KeyError(f"{args.json_logs} does not contain metric {metric}")
            values = [log_dict[epoch][metric][-1] for epoch in epochs if metric in log_dict[epoch]]
            print(f"{metric}: {' '.join(f'{value:.4f}' for value in values)}")


def main():
    parser = argparse.ArgumentParser(description="Analyze Json Log")
    subparsers = parser.add_subparsers(dest="task")
    curve = subparsers.add_parser("print_curve")
    curve.add_argument("json_logs", type=str, nargs="+")
    curve.add_argument("--keys", type=str, nargs="+", default=["loss"])
    train_time = subparsers.add_parser("cal_train_time")
    train_time.add_argument("json_logs", type=str, nargs="+")
    args = parser.parse_args()
    for json_log in args.json_logs:
        assert json_log.endswith(".json")
    eval(args.task)(load_json_logs(args.json_logs), args)


if __name__ == "__main__":
    main()

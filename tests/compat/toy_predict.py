"""Predict with the toy library as its users do, from a folder without its source.

Usage: toy_predict.py CHECKPOINT PICTURE... Not a test module. It prints a JSON object.
"""

import json
import sys

import numpy as np

from mmengine.hub import get_config, get_model
from mmengine.infer import BaseInferencer
from mmengine.registry import INFERENCERS, init_default_scope

CONFIG = "mmtoy::toynet/toynet_4e_shapes.py"


def main(checkpoint: str, *pictures: str) -> None:
    cfg = get_config(CONFIG, pretrained=True)
    model = get_model(CONFIG)
    found = {
        "model_path": cfg.model_path,
        "max_epochs": cfg.train_cfg.max_epochs,
        "of_hub": f"{type(model).__module__}.{type(model).__name__}",
        "listed": BaseInferencer.list_models("mmtoy"),
    }

    from mmtoy.apis import ToyInferencer, inference_model, init_model

    model = init_model(cfg, checkpoint, device="cpu")
    samples = [inference_model(model, picture) for picture in pictures]
    found["classes"] = model.dataset_meta["classes"]
    found["api"] = [int(sample.pred_label.label) for sample in samples]
    found["api_score"] = [sample.pred_label.score.max().item() for sample in samples]

    by_name = ToyInferencer("toynet", weights=checkpoint, device="cpu")
    results = by_name(list(pictures), batch_size=2, draw_score=True, top_k=2)
    found["by_name"] = results["predictions"]
    found["drawn"] = [list(picture.shape) for picture in results["visualization"]]

    init_default_scope("mmtoy")
    alone = INFERENCERS.build({"type": "ToyInferencer", "weights": checkpoint, "device": "cpu"})
    arrays = [np.load(picture) for picture in pictures]
    samples = alone(arrays, return_datasamples=True)["predictions"]
    found["from_weights"] = [int(sample.pred_label.label) for sample in samples]
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

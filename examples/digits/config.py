# A small CNN on scikit-learn's handwritten digits: 1,797 real scans of 8 x 8 pixels.
#
#   engine train examples/digits/config.py
_base_ = "../_base_/runtime.py"

# digits.py is beside this file; importing it registers dataset, model, metric and hook.
custom_imports = dict(imports=["digits"], allow_failed_imports=False)

max_epochs = 15

model = dict(
    type="DigitClassifier",
    width=32,
    data_preprocessor=dict(type="DigitPreprocessor"),
)

train_dataloader = dict(
    dataset=dict(type="Digits", split="train"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    batch_size=32,
    num_workers=0,
)
val_dataloader = dict(
    dataset=dict(type="Digits", split="validation"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="default_collate"),
    batch_size=128,
    num_workers=0,
)
# The pipeline also prepares the pictures for
#   engine predict examples/digits/config.py CHECKPOINT pictures/ --out results
test_dataloader = dict(
    dataset=dict(type="Digits", split="validation", pipeline=[dict(type="PackDigit")]),
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="default_collate"),
    batch_size=128,
    num_workers=0,
)
inferencer = dict(type="DigitInferencer")

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=40),
    dict(
        type="CosineAnnealingLR",
        T_max=max_epochs - 1,
        begin=1,
        end=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]

train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
val_evaluator = dict(type="DigitAccuracy")
test_evaluator = val_evaluator

custom_hooks = [dict(type="MisreadDigits", most=16)]

# The network is so small that splitting a step between threads takes longer than the step.
env_cfg = dict(torch_num_threads=1)

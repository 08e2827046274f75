"""Train the digits model without a config file; parts are objects or dicts.

python examples/digits/script.py
"""

from digits import (  # type: ignore[import-not-found]  # digits.py is beside this script
    DigitAccuracy,
    DigitClassifier,
    DigitPreprocessor,
    Digits,
)

from engine_runner import Runner


def main() -> None:
    """Train for five epochs, and print the accuracy."""
    runner = Runner(
        # A dict is built after the seed is set, so the initial weights are the same each time.
        dict(type=DigitClassifier, width=32, data_preprocessor=dict(type=DigitPreprocessor)),
        work_dir="work_dirs/script",
        train_dataloader=dict(
            dataset=Digits("train"),
            sampler=dict(type="DefaultSampler", shuffle=True),
            collate_fn=dict(type="default_collate"),
            batch_size=32,
        ),
        train_cfg=dict(by_epoch=True, max_epochs=5),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.05, momentum=0.9)),
        val_dataloader=dict(
            dataset=Digits("validation"),
            sampler=dict(type="DefaultSampler", shuffle=False),
            collate_fn=dict(type="default_collate"),
            batch_size=128,
        ),
        val_cfg=dict(),
        val_evaluator=DigitAccuracy(),
        randomness=dict(seed=0),
        env_cfg=dict(torch_num_threads=1),
    )
    runner.train()
    print(f"accuracy: {runner.val()['accuracy']:.4f}")


if __name__ == "__main__":
    main()

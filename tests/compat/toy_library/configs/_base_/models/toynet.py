# model settings
model = dict(
    type="ToyClassifier",
    data_preprocessor=dict(type="ToyDataPreprocessor", mean=[32.0], std=[64.0]),
    backbone=dict(type="ToyNet", in_channels=1, channels=(4, 8)),
    neck=dict(type="GlobalPool"),
    head=dict(
        type="ToyHead",
        num_classes=3,
        in_channels=8,
        loss=dict(type="ToyCrossEntropyLoss", loss_weight=1.0),
    ),
)

_base_ = [
    "../_base_/models/toynet.py",
    "../_base_/datasets/shapes.py",
    "../_base_/schedules/schedule_4e.py",
    "../_base_/default_runtime.py",
]

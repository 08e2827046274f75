from .warmup import QuadraticWarmupLR, QuadraticWarmupParamScheduler

__all__ = ["QuadraticWarmupLR", "QuadraticWarmupParamScheduler"]

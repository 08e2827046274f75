from .stage_decay_constructor import StageDecayConstructor

__all__ = ["StageDecayConstructor"]

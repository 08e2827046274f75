"""Export models to files that run without their Python code."""

from engine_runner.export._export import ExportReport, export_model
from engine_runner.export._inputs import first_inputs, random_inputs

__all__ = ["ExportReport", "export_model", "first_inputs", "random_inputs"]

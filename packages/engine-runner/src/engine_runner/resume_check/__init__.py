"""Prove on a config that its interrupted run, resumed, equals one never interrupted."""

from engine_runner.resume_check._check import ResumeReport, TrialError, resume_check

__all__ = ["ResumeReport", "TrialError", "resume_check"]

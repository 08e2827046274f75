"""Find the mistakes in a config before anything is built."""

from engine_config.check._check import Resolver, find_problems
from engine_config.check._problem import ConfigCheckError, Problem

__all__ = ["ConfigCheckError", "Problem", "Resolver", "find_problems"]

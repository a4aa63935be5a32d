"""Labelled faults of a lab: kinds, how they are injected, and their ground truth."""

from netprobe.lab.faults.injector import FaultInjector
from netprobe.lab.faults.registry import KINDS

__all__ = ["KINDS", "FaultInjector"]

"""Labelled faults: what can be broken in a lab, how, and what that must be called."""

from netprobe.lab.faults.injector import FaultInjector
from netprobe.lab.faults.registry import KINDS

__all__ = ["KINDS", "FaultInjector"]

"""Planning: pure functions from an inventory, seed and epoch to plans with legs and coverage.

Read in this order: ``policy`` (sizes), ``cluster_graph`` (how clusters are connected), ``routes`` (components
that a packet crosses), ``circulant``, ``pairs`` and ``zones`` (sources and targets), ``checks``, ``budgets``,
``coverage``, ``discriminating_checks`` (further checks), ``fleet_plan``, ``array_planner`` (the same as
arrays, for the largest fleets).
"""

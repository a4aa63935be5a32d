"""From an inventory to what every agent asks: plans, legs and coverage. Pure: seed and epoch are arguments.

Read in this order: ``policy`` (how much), ``fabric`` (how clusters are joined), ``routes`` (which components
a packet crosses), ``pairs`` and ``zones`` (who asks whom), ``questions`` (what is asked), ``budgets`` (what
fits), ``coverage``, ``splits`` (what would tell more), ``fleet``, ``bulk`` (the same as arrays, for
the largest fleets); ``rings`` holds what stays put when nodes come and go.
"""

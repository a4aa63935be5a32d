"""From an inventory to what every agent asks: plans, legs and coverage. Pure: seed and epoch are arguments.

Read in this order: ``policy`` (how much), ``fabric`` (how clusters are joined), ``routes`` (which components
a packet crosses), ``pairs`` and ``zones`` (who asks whom), ``questions`` (what is asked), ``budgets`` (what
fits), ``coverage``, ``splits`` (what would tell more), ``fleet``; ``rings`` and ``arrays`` hold what stays
put when nodes come and go.
"""

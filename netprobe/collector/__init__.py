"""The service: discovery, planning, bus, analysis and history wired together.

``service`` wires the parts. While the bus is served these run: ``report_ingest`` (validated by
``report_validation``), ``analysis_loop``, ``plan_publication`` (plans by ``plan_rotation``) and
``narrowing_loop``; ``query_service`` answers operators, from ``snapshot_builder``, ``replay`` and
``health_reporter``. Beside them: ``bus_auth`` judges tokens, ``cluster_watchers`` follows registered
clusters; ``tls_reload``, ``keys_watch`` and ``history_retention``.
"""

"""The domain model: netprobe's terms as frozen values, without I/O or clock.

Read in this order: ``names`` (identifiers), ``inventory`` (clusters, nodes, links), ``outcome`` (result of
one probe), ``check`` (probes and plans), ``window`` (counts), ``component`` (parts that can break), ``fleet``
(all plans of one epoch), ``status`` (states of paths and agents), ``finding`` (faults), ``ground_truth``
(injected faults), ``snapshot`` (everything at one moment).
"""

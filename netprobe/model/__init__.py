"""The words of netprobe as frozen values. Standard library only; no I/O, no clock.

Read in this order: ``names`` (who), ``inventory`` (what is there), ``outcome`` (what one probe saw),
``check`` (what is asked), ``window`` (what was counted), ``component`` (what can break), ``fleet`` (all
plans of one epoch), ``state`` (what a path is), ``finding`` (what is broken), ``label`` (what is known to
be), ``snapshot`` (everything at one moment).
"""

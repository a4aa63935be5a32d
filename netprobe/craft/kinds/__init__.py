"""One file for each kind of crafted question; they are named in ``netprobe.craft.registry``."""

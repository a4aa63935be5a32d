"""Localisers from the literature that ours is compared with; production uses none of them."""

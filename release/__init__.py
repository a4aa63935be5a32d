"""What a release is made of: bases by digest, bills of materials, checksums (``python -m release``)."""

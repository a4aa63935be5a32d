"""Intent: what people mean, read, expanded to cells, and compared with what was seen. Pure."""

"""Tables, Markdown, HTML, JSON, figures and graph exports, all made from one snapshot."""

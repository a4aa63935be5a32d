"""Tables, Markdown, HTML, JSON, figures and graph exports, all drawn from one snapshot."""

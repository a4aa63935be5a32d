"""Systems that keep a list of clusters, one file each; read on request, with the asker's own rights."""

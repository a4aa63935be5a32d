"""The documentation site: pages of the repository, and what is generated from the program itself."""

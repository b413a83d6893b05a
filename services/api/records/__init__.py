"""Records over HTTP, driven by the declarations in `shared.resources`."""

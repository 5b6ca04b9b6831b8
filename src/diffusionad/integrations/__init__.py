"""diffusionad inside other programs."""

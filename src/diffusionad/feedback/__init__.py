"""What the operator says about pictures becomes data, then a candidate, and only through a gate the bundle in use."""

"""Pictures: one module per kind, data in, figure out."""

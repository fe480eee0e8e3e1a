"""Pictures, one module for each kind: data in, figure out. Others use `effects` (`plot`)."""

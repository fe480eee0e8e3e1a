"""The techniques: one module per axis, one function per option, each written for ONE run."""

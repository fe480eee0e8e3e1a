"""From a data set's name to uint8 tensors on the device, split by seed."""

"""Runs from config to directory: the page to read first is `train`."""

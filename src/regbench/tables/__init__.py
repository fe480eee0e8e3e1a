"""Comparisons as text: terminal, files, footers."""

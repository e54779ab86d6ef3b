"""Sentences about what the recorder does, each one run."""

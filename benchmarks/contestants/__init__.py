"""Those who run: each alone in a process, counting through the same events."""

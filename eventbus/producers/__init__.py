"""Whatever emits by itself, one file a producer."""

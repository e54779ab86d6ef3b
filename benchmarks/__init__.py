"""What the recorder costs, measured beside a bare loop and its peers."""

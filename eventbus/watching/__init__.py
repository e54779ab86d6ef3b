"""What is known of the files under a root: the tree, what changed in it, and who did it."""

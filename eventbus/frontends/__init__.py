"""What people and programs meet: they parse, ask and format."""

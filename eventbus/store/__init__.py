"""The store: tables that events land in, and every question asked of them."""

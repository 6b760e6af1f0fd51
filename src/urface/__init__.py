"""urface."""

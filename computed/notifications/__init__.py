"""Tell other systems what was done; nothing waits for it, or fails by it."""

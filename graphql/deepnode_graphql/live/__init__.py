"""Live updates: what the books take in and take back, as it happens, by WebSocket and by server-sent events."""

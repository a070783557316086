"""Folds: pure functions from events to what they do to the state. No clock, no randomness, no database, no network."""

"""Registers: what the books know of things (nodes, tasks, cases, stakes), each as a history keyed by position."""

"""Verifying a bundle: everything that can be checked without trusting whoever made it, stage by stage."""

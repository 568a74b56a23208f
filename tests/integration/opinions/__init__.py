"""Clusters that decide for themselves what pods look like."""

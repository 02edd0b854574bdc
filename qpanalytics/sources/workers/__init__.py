"""Supervisors of worker processes: a module for each reads how its processes look now."""

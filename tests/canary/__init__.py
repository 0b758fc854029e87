"""Planted secrets go through real runs of the command, and are searched for afterwards."""

"""Revisions, in order. A released one never changes and never imports the tables of today."""

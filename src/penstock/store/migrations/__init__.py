"""Migrations: one revision a file, from an empty database to the tables of this release."""

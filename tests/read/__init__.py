"""The read service on a real store."""

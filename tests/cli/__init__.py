"""The command line, from parsing to what is printed and how it ends."""

"""Commands: each module is flags, and one call of the library."""

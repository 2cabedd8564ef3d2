"""The proof of a data set: against its manifest, and against its source."""
